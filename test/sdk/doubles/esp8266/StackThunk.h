/* StackThunk.h - BearSSL's own stack, declarations only. */
#ifndef SDK_STACK_THUNK_H
#define SDK_STACK_THUNK_H

extern "C" {
void stack_thunk_add_ref(void);
void stack_thunk_del_ref(void);
}
#define make_stack_thunk(name)

#endif
