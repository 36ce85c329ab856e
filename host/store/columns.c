/* columns.c - moves fields between structs and rows, driven by a table of columns.
 * Must never believe a length or a range that the database claims. Tests: test/unit/store_test.c. */
#include <stdint.h>
#include <string.h>

#include "parts.h"

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

int64_t column_number(const struct column *column, const uint8_t *field)
{
    return column->kind == COLUMN_UINT ? load_uint(field, column->size) : load_int(field, column->size);
}

bool column_set_number(const struct column *column, uint8_t *field, int64_t v)
{
    return column->kind == COLUMN_UINT ? save_uint(field, column->size, v) : save_int(field, column->size, v);
}

static int bind_one(struct db_statement *stmt, int at, const struct column *column, const uint8_t *field)
{
    struct db_value value = {.kind = DB_INT};
    switch (column->kind) {
    case COLUMN_TEXT:
        value = (struct db_value){
            .kind = DB_TEXT, .bytes = field, .len = strnlen((const char *)field, column->size)};
        if (value.len == column->size) return store_fail(MOLT_ARG, "a text is not terminated");
        break;
    case COLUMN_BLOB:
        value = (struct db_value){.kind = DB_BLOB, .bytes = field, .len = column->size};
        break;
    case COLUMN_INT:
    case COLUMN_UINT:
    case COLUMN_REF:
        value.number = column_number(column, field);
        if (column->kind == COLUMN_REF && value.number == 0) value.kind = DB_NULL;
        break;
    }
    db_bind_value(stmt, at, &value);
    return 0;
}

int store_bind(struct db_statement *stmt, int first, const struct column *columns, size_t count,
               const void *row)
{
    for (size_t i = 0; i < count; i++) {
        int rc = bind_one(stmt, first + (int)i, &columns[i], (const uint8_t *)row + columns[i].offset);
        if (rc < 0) return rc;
    }
    return 0;
}

static bool read_one(const struct db_statement *stmt, int at, const struct column *column, uint8_t *field)
{
    struct db_value value;
    db_value(stmt, at, &value);
    if (column->kind != COLUMN_TEXT && column->kind != COLUMN_BLOB) {
        const bool may_miss = column->kind == COLUMN_REF;
        return (value.kind == DB_INT || (may_miss && value.kind == DB_NULL)) &&
               column_set_number(column, field, value.number);
    }
    if (value.kind != (column->kind == COLUMN_TEXT ? DB_TEXT : DB_BLOB)) return false;
    if (column->kind == COLUMN_TEXT ? value.len >= column->size : value.len != column->size) return false;
    memset(field, 0, column->size);
    memcpy(field, value.bytes, value.len);
    return true;
}

const char *store_read_most(const struct db_statement *stmt, int first, const struct column *columns,
                            size_t count, void *row)
{
    const char *damaged = NULL;
    for (size_t i = 0; i < count; i++) {
        uint8_t *field = (uint8_t *)row + columns[i].offset;
        if (read_one(stmt, first + (int)i, &columns[i], field)) continue;
        memset(field, 0, columns[i].size);
        if (damaged == NULL) damaged = db_column_name(stmt, first + (int)i);
    }
    return damaged;
}

int store_read(const struct db_statement *stmt, int first, const struct column *columns, size_t count,
               void *row)
{
    for (size_t i = 0; i < count; i++) {
        int at = first + (int)i;
        if (!read_one(stmt, at, &columns[i], (uint8_t *)row + columns[i].offset)) {
            return store_fail(MOLT_STORE_FAILED, "the database is damaged: column %s does not fit",
                              db_column_name(stmt, at));
        }
    }
    return 0;
}
