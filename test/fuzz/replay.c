/* replay.c - runs a fuzz target over the files of a corpus folder, each as it is, cut at every 16th byte, and with
 * single bits changed: what the fuzzer once found stays found without libFuzzer.
 * usage: fuzz-NAME FOLDER; exit status 1 when the folder has no file. */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)
#define FLIPS     400u

/* Exactly as long as the input, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    FUZZ_CHECK(copy != NULL);
    if (len > 0) memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_variants(uint8_t *data, size_t len)
{
    run(data, len);
    for (size_t cut = 0; cut < len; cut += 16) {
        run(data, cut);
    }
    uint32_t r = (uint32_t)len + 1;
    for (uint32_t i = 0; i < FLIPS && len > 0; i++) {
        r = r * 1664525u + 1013904223u;
        size_t at = (r >> 8) % len;
        data[at] ^= (uint8_t)(1u << (r >> 5 & 7));
        run(data, len);
        data[at] ^= (uint8_t)(1u << (r >> 5 & 7));
    }
}

static size_t load(const char *folder, const char *name, uint8_t *data)
{
    char path[4096];
    FUZZ_CHECK(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
    FILE *f = fopen(path, "rb");
    FUZZ_CHECK(f != NULL);
    size_t len = fread(data, 1, INPUT_MAX, f);
    FUZZ_CHECK(ferror(f) == 0 && feof(f) != 0);
    fclose(f);
    return len;
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    DIR *folder = opendir(argv[1]);
    FUZZ_CHECK(folder != NULL);
    uint8_t *data = malloc(INPUT_MAX);
    FUZZ_CHECK(data != NULL);
    unsigned files = 0;
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        if (e->d_name[0] == '.') continue;
        run_variants(data, load(argv[1], e->d_name, data));
        files++;
    }
    closedir(folder);
    free(data);
    printf("%u files of %s\n", files, argv[1]);
    return files > 0 ? 0 : 1;
}
