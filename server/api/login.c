/* login.c - passwords and second factors at the door. Must never say whether a name exists, nor let anybody try for ever.
 * Tests: test/unit/api_login_test.c. */
#include "login.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "server/access/password.h"
#include "server/access/throttle.h"
#include "server/access/totp.h"

#define CODE_COSTS 3 /* wrong passwords that a wrong code counts as */

/* Names of any length share the table with addresses: none looks like one. */
static void throttle_key(const char *name, char key[16])
{
    uint8_t sha256[32] = {0};
    (void)EVP_Digest(name, strlen(name), sha256, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < 7; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", sha256[i]);
}

bool login_is_throttled(struct api_call *call, const char *name)
{
    char key[16];
    throttle_key(name, key);
    if (call->api->logins == NULL || throttle_has(call->api->logins, key, api_now_ms())) return false;
    api_refuse(call, MOLT_TOO_MANY_TRIES, "%s", "for this user");
    return true;
}

void login_note_wrong(struct api_call *call, const char *name)
{
    char key[16];
    throttle_key(name, key);
    if (call->api->logins != NULL) (void)throttle_take(call->api->logins, key, api_now_ms());
}

static void refuse_busy(struct api_call *call, int rc)
{
    if (rc == -MOLT_SERVER_BUSY)
        api_refuse_status(call, 429, MOLT_SERVER_BUSY, "others log in at this moment; try again");
    else
        api_refuse(call, -rc, "%s", "");
}

/* The second factor, if he has one. False after replying. */
static bool check_code(struct api_call *call, struct store_account *account, const char *code)
{
    int64_t step;
    if (!totp_is_on(account->totp)) return true;
    if (code[0] == '\0') {
        api_refuse(call, MOLT_SECOND_FACTOR, "%s", "");
        return false;
    }
    if (totp_check(account->totp, code, api_now_ms(), account->totp_step, &step)) {
        account->totp_step = step;
        return true;
    }
    if (recovery_use(account->recovery, code)) return true;
    for (int i = 0; i < CODE_COSTS; i++) /* it has a million values, of which three are good */
        login_note_wrong(call, account->name);
    api_refuse(call, MOLT_SECOND_FACTOR, "%s", "the code is wrong, or was used before");
    return false;
}

bool login_check(struct api_call *call, const char *name, const char *password, const char *code,
                 struct store_account *account)
{
    bool outdated;
    if (login_is_throttled(call, name)) return false;
    int rc = store_account_find(call->api->store, name, account);
    if (rc < 0 && rc != -MOLT_NOT_FOUND) {
        api_refuse_store(call, rc, "");
        return false;
    }
    if (rc < 0) call->who.name[0] = '\0'; /* a name that is not there is nobody's, and not noted */
    const bool usable = rc == 0 && !account->disabled;
    rc = password_check(usable ? account->password : "", password, &outdated);
    if (rc == -MOLT_UNAUTHORIZED) {
        login_note_wrong(call, name);
        api_refuse(call, MOLT_WRONG_PASSWORD, "%s", "");
        return false;
    }
    if (rc < 0) {
        refuse_busy(call, rc);
        return false;
    }
    if (!check_code(call, account, code)) return false;
    if (outdated) (void)password_hash(password, account->password);
    account->login_ms = api_now_ms();
    rc = store_account_save(call->api->store, account);
    /* without a second factor nothing is used up, so that nobody is turned away when two log in at once */
    if (rc == -MOLT_STATE && !totp_is_on(account->totp))
        rc = store_account_find(call->api->store, name, account);
    if (rc < 0) api_refuse_store(call, rc, "");
    return rc == 0;
}

bool login_password_again(struct api_call *call, const struct store_account *account, const char *password)
{
    if (login_is_throttled(call, account->name)) return false;
    int rc = password_check(account->password, password, NULL);
    if (rc == -MOLT_UNAUTHORIZED) {
        login_note_wrong(call, account->name);
        api_refuse_status(call, 403, MOLT_WRONG_PASSWORD, ""); /* he stays logged in */
    } else if (rc < 0) {
        refuse_busy(call, rc);
    }
    return rc == 0;
}

bool login_set_password(struct api_call *call, struct store_account *account, const char *password)
{
    if (!password_ok(account->name, password)) {
        api_refuse(call, MOLT_WEAK_PASSWORD, "%s", "");
        return false;
    }
    int rc = password_hash(password, account->password);
    if (rc < 0) refuse_busy(call, rc);
    return rc == 0;
}
