/* cc.h - lwIP's view of the compiler and of the board. */
#ifndef MOLT_LWIP_CC_H
#define MOLT_LWIP_CC_H

#include <stdint.h>
#include <stdlib.h>

#include "boards/board.h"

#define LWIP_NO_UNISTD_H        1
#define LWIP_PLATFORM_DIAG(x)   ((void)0)
#define LWIP_PLATFORM_ASSERT(x) board_panic(x)
#define LWIP_RAND()             board_random()

#endif
