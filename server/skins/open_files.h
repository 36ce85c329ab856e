/* open_files.h - artifacts that are open, shared by the downloads that send them. */
#ifndef MOLT_SERVER_OPEN_FILES_H
#define MOLT_SERVER_OPEN_FILES_H

#include "host/store/store.h"
#include "server/packs/packs.h"

struct open_files;

/* packs may be NULL. NULL when memory is short. */
struct open_files *open_files_new(struct store *store, struct packs *packs);
void open_files_free(struct open_files *files); /* nothing may be in use */

/* A descriptor of the artifact or the pack, checked to have its length; to be read with an offset only. -MOLT_NOT_FOUND,
 * -MOLT_STORE_FAILED (other length). Thread-safe. */
int open_files_get(struct open_files *files, const struct model_artifact *artifact);
/* Gives it back. */
void open_files_put(struct open_files *files, int fd);

#endif
