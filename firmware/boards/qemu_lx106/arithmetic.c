/* arithmetic.c - integer functions that the compiler calls and that Debian's libgcc for lx106 lacks
 * (12.2.0-14+deb12u1). Names and meanings: GCC internals manual, "Routines for integer arithmetic". */
#include <stdint.h>

uint32_t __udivsi3(uint32_t n, uint32_t d);
uint32_t __umodsi3(uint32_t n, uint32_t d);
int32_t __divsi3(int32_t n, int32_t d);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t n, uint64_t d);
uint64_t __umoddi3(uint64_t n, uint64_t d);
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest);
int64_t __divdi3(int64_t n, int64_t d);

union halves {
    uint64_t all;
    uint32_t word[2];
};

uint32_t __udivsi3(uint32_t n, uint32_t d)
{
    uint32_t quotient = 0;
    if (d == 0 || n < d) return 0;
    int shift = __builtin_clz(d) - __builtin_clz(n);
    for (d <<= shift; shift >= 0; shift--, d >>= 1) {
        quotient <<= 1;
        if (n >= d) {
            n -= d;
            quotient |= 1;
        }
    }
    return quotient;
}

uint32_t __umodsi3(uint32_t n, uint32_t d)
{
    return n - __udivsi3(n, d) * d;
}

int32_t __divsi3(int32_t n, int32_t d)
{
    uint32_t quotient =
        __udivsi3(n < 0 ? 0u - (uint32_t)n : (uint32_t)n, d < 0 ? 0u - (uint32_t)d : (uint32_t)d);
    return (int32_t)((n ^ d) < 0 ? 0u - quotient : quotient);
}

uint64_t __umulsidi3(uint32_t a, uint32_t b)
{
    uint32_t a0 = a & 0xFFFF, a1 = a >> 16, b0 = b & 0xFFFF, b1 = b >> 16;
    uint32_t low = a0 * b0, left = a0 * b1, right = a1 * b0, high = a1 * b1;
    uint32_t middle = (low >> 16) + (left & 0xFFFF) + (right & 0xFFFF);
    union halves sum;
    sum.word[0] = middle << 16 | (low & 0xFFFF);
    sum.word[1] = high + (left >> 16) + (right >> 16) + (middle >> 16);
    return sum.all;
}

uint64_t __muldi3(uint64_t a, uint64_t b)
{
    union halves x = {a}, y = {b}, sum = {__umulsidi3(x.word[0], y.word[0])};
    sum.word[1] += x.word[0] * y.word[1] + x.word[1] * y.word[0];
    return sum.all;
}

uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest)
{
    union halves nn = {n}, dd = {d};
    uint64_t quotient = 0, left = 0;
    if (nn.word[1] == 0 && dd.word[1] == 0) {
        uint32_t small = __udivsi3(nn.word[0], dd.word[0]);
        if (rest != 0) *rest = nn.word[0] - small * dd.word[0];
        return small;
    }
    for (int i = 63; i >= 0; i--) {
        left = left << 1 | (n >> i & 1);
        if (left >= d) {
            left -= d;
            quotient |= (uint64_t)1 << i;
        }
    }
    if (rest != 0) *rest = left;
    return quotient;
}

uint64_t __udivdi3(uint64_t n, uint64_t d)
{
    return __udivmoddi4(n, d, 0);
}

uint64_t __umoddi3(uint64_t n, uint64_t d)
{
    uint64_t rest;
    (void)__udivmoddi4(n, d, &rest);
    return rest;
}

int64_t __divdi3(int64_t n, int64_t d)
{
    uint64_t quotient =
        __udivmoddi4(n < 0 ? 0u - (uint64_t)n : (uint64_t)n, d < 0 ? 0u - (uint64_t)d : (uint64_t)d, 0);
    return (int64_t)((n ^ d) < 0 ? 0u - quotient : quotient);
}
