/* reent.h - as newlib has it beside sys/reent.h. For `./dev sdk`. */
#include <sys/reent.h>
