/* audit.h - private to server/api: what is written into the audit log of a call. */
#ifndef MOLT_SERVER_API_AUDIT_H
#define MOLT_SERVER_API_AUDIT_H

#include "call.h"

/* Notes that a change is begun, before anything of it is done: should the server end before audit_call(), the log says so. What is open to
 * anybody is only noted afterwards: who it was is known then. False after replying: it could not be noted. */
bool audit_begin(struct api_call *call, const struct api_route *route);
/* Notes the call, which was answered, if it is one to note: whatever may change something, done or refused, by somebody who is
 * known; and wrong passwords of a user who exists. When it cannot be noted, the answer becomes one that says so. */
void audit_call(struct api_call *call, const struct api_route *route);

#endif
