/* columns.c - moves fields between structs and SQLite rows, driven by a table of columns.
 * Must never believe a length or a range that the database claims. Tests: test/unit/store_test.c. */
#include <stdint.h>
#include <string.h>

#include "sqlite.h"

static int64_t load_int(const uint8_t *field, size_t size)
{
    if (size == sizeof(int64_t)) {
        int64_t v;
        memcpy(&v, field, sizeof v);
        return v;
    }
    int32_t v;
    memcpy(&v, field, sizeof v);
    return v;
}

static int64_t load_uint(const uint8_t *field, size_t size)
{
    uint32_t v32;
    uint16_t v16;
    switch (size) {
    case 1:
        return *field;
    case 2:
        memcpy(&v16, field, sizeof v16);
        return v16;
    default:
        memcpy(&v32, field, sizeof v32);
        return v32;
    }
}

static bool save_int(uint8_t *field, size_t size, int64_t v)
{
    if (size == sizeof v) {
        memcpy(field, &v, sizeof v);
        return true;
    }
    int32_t v32 = (int32_t)v;
    memcpy(field, &v32, sizeof v32);
    return v32 == v;
}

static bool save_uint(uint8_t *field, size_t size, int64_t v)
{
    uint32_t v32 = (uint32_t)v;
    uint16_t v16 = (uint16_t)v;
    switch (size) {
    case 1:
        *field = v != 0;
        return v == 0 || v == 1;
    case 2:
        memcpy(field, &v16, sizeof v16);
        return v16 == v;
    default:
        memcpy(field, &v32, sizeof v32);
        return v32 == v;
    }
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct column *column, const uint8_t *field)
{
    int64_t v;
    size_t len;
    switch (column->kind) {
    case COLUMN_TEXT:
        len = strnlen((const char *)field, column->size);
        if (len == column->size) return store_fail(MOLT_ARG, "a text is not terminated");
        return sqlite3_bind_text(stmt, at, (const char *)field, (int)len, SQLITE_TRANSIENT);
    case COLUMN_BLOB:
        return sqlite3_bind_blob(stmt, at, field, (int)column->size, SQLITE_TRANSIENT);
    case COLUMN_INT:
        return sqlite3_bind_int64(stmt, at, load_int(field, column->size));
    case COLUMN_UINT:
        return sqlite3_bind_int64(stmt, at, load_uint(field, column->size));
    case COLUMN_REF:
        v = load_int(field, column->size);
        return v == 0 ? sqlite3_bind_null(stmt, at) : sqlite3_bind_int64(stmt, at, v);
    }
    return SQLITE_MISUSE;
}

int store_bind(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count, const void *row)
{
    for (size_t i = 0; i < count; i++) {
        int rc = bind_one(stmt, first + (int)i, &columns[i], (const uint8_t *)row + columns[i].offset);
        if (rc < 0) return rc;
        if (rc != SQLITE_OK)
            return store_fail(MOLT_STORE_FAILED, "cannot bind a value: %s", sqlite3_errstr(rc));
    }
    return 0;
}

static bool read_one(sqlite3_stmt *stmt, int at, const struct column *column, uint8_t *field)
{
    if (column->kind == COLUMN_INT) return save_int(field, column->size, sqlite3_column_int64(stmt, at));
    if (column->kind == COLUMN_REF) return save_int(field, column->size, sqlite3_column_int64(stmt, at));
    if (column->kind == COLUMN_UINT) return save_uint(field, column->size, sqlite3_column_int64(stmt, at));

    const void *bytes = column->kind == COLUMN_TEXT ? (const void *)sqlite3_column_text(stmt, at)
                                                    : sqlite3_column_blob(stmt, at);
    size_t len = (size_t)sqlite3_column_bytes(stmt, at);
    if (column->kind == COLUMN_TEXT ? len >= column->size : len != column->size) return false;
    memset(field, 0, column->size);
    if (bytes != NULL) memcpy(field, bytes, len);
    return bytes != NULL;
}

int store_read(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count, void *row)
{
    for (size_t i = 0; i < count; i++) {
        int at = first + (int)i;
        if (!read_one(stmt, at, &columns[i], (uint8_t *)row + columns[i].offset)) {
            return store_fail(MOLT_STORE_FAILED, "the database is damaged: column %s does not fit",
                              sqlite3_column_name(stmt, at));
        }
    }
    return 0;
}
