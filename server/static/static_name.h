/* static_name.h - under which names a device's files may lie in a --static folder.
 *
 * One sketch asks for 5CCF7FC602E2.version, the next for 5c:cf:7f:c6:02:e2.version, and the files were named by hand: the
 * name as it was asked for is looked for first, then every spelling of the id that it means. */
#ifndef MOLT_SERVER_STATIC_NAME_H
#define MOLT_SERVER_STATIC_NAME_H

#include <stdbool.h>

#include "static_file.h"

#define STATIC_SPELLINGS 9 /* of one name: as asked for, six of a MAC, two of the MAC read backwards */

/* The index-th name that "/any/thing/NAME" (a decoded path without its suffix) may have below the folder:
 * any/thing/NAME, NAME, then both with NAME spelled otherwise. index: 0 to 2 * STATIC_SPELLINGS - 1, all of them to be
 * tried. False when there is no such candidate, or it is no safe name (static_stem_ok()). */
bool static_name(const char *path, unsigned index, char out[STATIC_STEM_LEN]);

#endif
