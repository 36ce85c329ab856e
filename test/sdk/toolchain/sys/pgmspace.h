/* pgmspace.h - what Arduino's own toolchain for the ESP8266 has and Debian's has not: data in flash. Declarations for
 * `./dev sdk`, which compiles against a real core's headers and links nothing. */
#ifndef SDK_SYS_PGMSPACE_H
#define SDK_SYS_PGMSPACE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SDK_TEXT_(x) #x
#define SDK_TEXT(x)  SDK_TEXT_(x)
#define PROGMEM      __attribute__((section(".irom.text." SDK_TEXT(__LINE__) "." SDK_TEXT(__COUNTER__))))
#define PGM_P        const char *
#define PGM_VOID_P   const void *
#define PSTR(text)                                                                                           \
    (__extension__({                                                                                         \
        static const char in_flash[] __attribute__((aligned(4))) PROGMEM = (text);                           \
        &in_flash[0];                                                                                        \
    }))
#define PSTRN(text, n) PSTR(text)

#ifdef __cplusplus
extern "C" {
#endif

/* Flash is read in whole words. */
static inline uint8_t pgm_read_byte(const void *at)
{
    const uint32_t word = *(const uint32_t *)((uintptr_t)at & ~(uintptr_t)3);
    return (uint8_t)(word >> 8 * ((uintptr_t)at & 3));
}

static inline uint16_t pgm_read_word(const void *at)
{
    return (uint16_t)(pgm_read_byte(at) | pgm_read_byte((const char *)at + 1) << 8);
}

#define pgm_read_byte_near pgm_read_byte
#define pgm_read_dword(at) (*(const uint32_t *)(at))
#define pgm_read_ptr(at)   (*(const void *const *)(at))
#define pgm_read_float(at) (*(const float *)(at))
#define pgm_read_dword_unaligned(at)                                                                         \
    ((uint32_t)pgm_read_word(at) | (uint32_t)pgm_read_word((const char *)(at) + 2) << 16)
#define pgm_read_ptr_unaligned(at) ((void *)pgm_read_dword_unaligned(at))

void *memmove_P(void *dst, const void *src, size_t len);
void *memcpy_P(void *dst, const void *src, size_t len);
int memcmp_P(const void *a, const void *b, size_t len);
void *memchr_P(const void *in, int c, size_t len);
void *memmem_P(const void *in, size_t in_len, const void *what, size_t len);
char *strncpy_P(char *dst, const char *src, size_t len);
char *strcpy_P(char *dst, const char *src);
char *strncat_P(char *dst, const char *src, size_t len);
char *strcat_P(char *dst, const char *src);
int strncmp_P(const char *a, const char *b, size_t len);
int strcmp_P(const char *a, const char *b);
int strncasecmp_P(const char *a, const char *b, size_t len);
int strcasecmp_P(const char *a, const char *b);
size_t strnlen_P(const char *text, size_t len);
size_t strlen_P(const char *text);
char *strstr_P(const char *in, const char *what);
int printf_P(const char *format, ...);
int sprintf_P(char *dst, const char *format, ...);
int snprintf_P(char *dst, size_t len, const char *format, ...);
int vsnprintf_P(char *dst, size_t len, const char *format, va_list list);

#ifdef __cplusplus
}
#endif
#endif
