/* molt_version.h - the version of molt. tools/tidy fails when another file disagrees. */
#ifndef MOLT_VERSION_H
#define MOLT_VERSION_H

#define MOLT_VERSION "0.1.0"

#endif
