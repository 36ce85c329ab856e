/* inspect.c - POST /inspect: a file in, everything molt can say about it out; nothing is stored.
 * Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

void api_inspect(struct api_call *call)
{
    struct facts facts;
    facts_read(call->request->body, call->request->body_len, &facts, NULL, NULL);
    api_reply(call, 200, shape_facts(&facts));
}
