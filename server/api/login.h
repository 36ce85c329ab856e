/* login.h - private to server/api: is it he? By password and second factor, with a limit on wrong ones. */
#ifndef MOLT_SERVER_API_LOGIN_H
#define MOLT_SERVER_API_LOGIN_H

#include "call.h"

/* Has this user too many wrong ones behind him? True after replying. */
bool login_is_throttled(struct api_call *call, const char *name);
void login_note_wrong(struct api_call *call, const char *name);

/* Finds the account and checks password and code ("" : none came); the account is saved as one that logged in. False after
 * replying 401: which of name and password was wrong is not said. */
bool login_check(struct api_call *call, const char *name, const char *password, const char *code,
                 struct store_account *account);
/* Checks the password of an account that is logged in. False after replying 403. */
bool login_password_again(struct api_call *call, const struct store_account *account, const char *password);
/* A new password, checked and hashed into the account. False after replying. */
bool login_set_password(struct api_call *call, struct store_account *account, const char *password);

#endif
