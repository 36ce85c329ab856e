/* images.h - private to host/store: the columns of the image table, written by releases.c, read by rules.c. */
#ifndef MOLT_HOST_STORE_IMAGES_H
#define MOLT_HOST_STORE_IMAGES_H

#include "parts.h"

/* F(kind, column, field): what is the same in the table and in struct model_image, in this order. */
/* clang-format off */
#define IMAGE_FIELDS(F) \
    F(UINT, chip, chip) F(UINT, component, component) F(TEXT, variant, variant) \
    F(UINT, variant_flash_size, variant_flash_size) F(UINT, variant_fs_start, variant_fs_start) \
    F(UINT, variant_min_revision, variant_min_revision) F(UINT, header_flash_size, header_flash_size) \
    F(UINT, min_revision, min_revision) F(UINT, max_revision, max_revision) F(BLOB, digest, digest) \
    F(BLOB, raw_sha256, raw.sha256) F(BLOB, raw_md5, raw.md5) F(UINT, raw_len, raw.len) \
    F(BLOB, gzip_sha256, gzip.sha256) F(BLOB, gzip_md5, gzip.md5) F(UINT, gzip_len, gzip.len) \
    F(BLOB, gzip_4k_sha256, gzip_4k.sha256) F(BLOB, gzip_4k_md5, gzip_4k.md5) F(UINT, gzip_4k_len, gzip_4k.len) \
    F(UINT, md5_boot_count, md5_boot_count) \
    F(BLOB, manifest_sha256, manifest.sha256) F(BLOB, manifest_md5, manifest.md5) F(UINT, manifest_len, manifest.len) \
    F(INT, sequence, sequence) F(UINT, approved, approved)
/* clang-format on */

#define IMAGE_AS_NAME(kind, column, field) ", image." #column
#define IMAGE_AS_INTO(kind, column, field) ", " #column
#define IMAGE_AS_MARK(kind, column, field) ", ?"
#define IMAGE_AS_COLUMN(kind, column, field)                                                                 \
    {COLUMN_##kind, offsetof(struct model_image, field), sizeof(((struct model_image *)NULL)->field)},

#define IMAGE_MD5_VARIANTS_MAX 4096u /* far above what header bytes and boot stages can give */

#endif
