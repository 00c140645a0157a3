/* resident.c - see resident.h.
 *
 * Why: libpq, libzmq and libcurl bring LDAP, Kerberos, GnuTLS and more into every process. Their
 * pages are shared and clean, so they cost little, but they are most of what a small process shows
 * as resident.
 *
 * Only mappings that smaps says hold no anonymous page are touched: a private file mapping that was
 * written to (relocations made read-only afterwards look like constants) would lose its changes.
 */
#include "lib/resident.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef struct mapping {
    uintptr_t start, end;
    bool candidate; /* of a file, private, not writable */
} mapping_t;

static bool read_header(const char *line, mapping_t *mapping)
{
    char permissions[5], path[2];
    unsigned long inode = 0;
    path[0] = '\0';
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*s %lu %1s", &mapping->start,
               &mapping->end, permissions, &inode, path) < 4)
        return false;
    mapping->candidate =
        inode != 0 && path[0] == '/' && permissions[1] == '-' && permissions[3] == 'p';
    return true;
}

void resident_trim(void)
{
    malloc_trim(0);
    FILE *file = fopen("/proc/self/smaps", "r");
    if (file == NULL)
        return;
    char line[512];
    mapping_t mapping = {0};
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long anonymous_kib;
        if (sscanf(line, "Anonymous: %lu kB", &anonymous_kib) != 1) {
            mapping_t next;
            if (read_header(line, &next))
                mapping = next;
        } else if (mapping.candidate && anonymous_kib == 0) {
            (void)madvise((void *)mapping.start, mapping.end - mapping.start, MADV_DONTNEED);
            mapping.candidate = false;
        }
    }
    fclose(file);
}
