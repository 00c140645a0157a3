/* sim_journal.c - an append-only file of JSON lines.
 *
 * A line is one write(2): once it returned, a killed process does not lose it. It is not synced, so
 * a machine that loses power may. Called by sim_bank.c under its lock.
 */
#include "services/psp_sim/sim_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/json_read.h"

enum { LINE_MAX_BYTES = 256 * 1024 };

struct sim_journal {
    int fd;
    off_t size; /* of all whole lines */
};

/* Lines up to the first that is cut off or makes no sense; *size is where they end, *whole whether
 * that is all. */
static void replay(FILE *file, sim_journal_apply_fn *apply, void *arg, off_t *size, bool *whole)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t got;
    *size = 0;
    *whole = true;
    while (*whole && (got = getline(&line, &capacity, file)) > 0) {
        bool ended = line[got - 1] == '\n' && got <= LINE_MAX_BYTES;
        json_t *root = ended ? json_read_object((str_t){line, (uint32_t)got}, NULL) : NULL;
        if (root && apply(arg, root))
            *size += got;
        else
            *whole = false;
        json_decref(root);
    }
    free(line);
}

static err_t open_and_replay(sim_journal_t *self, const char *path, sim_journal_apply_fn *apply,
                             void *arg, err_detail_t *detail)
{
    self->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (self->fd < 0)
        return err_set(detail, ERR_BAD_CONFIG, "%s: %s", path, strerror(errno));
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(detail, ERR_BAD_CONFIG, "%s: %s", path, strerror(errno));
    bool whole;
    replay(file, apply, arg, &self->size, &whole);
    bool failed = ferror(file);
    fclose(file);
    if (failed)
        return err_set(detail, ERR_BAD_CONFIG, "%s: cannot be read", path);
    if (whole)
        return ERR_OK;
    /* Only the end of the file may be torn: after it no newline may follow. */
    char tail[LINE_MAX_BYTES];
    ssize_t left = pread(self->fd, tail, sizeof tail, self->size);
    if (left < 0 || (size_t)left == sizeof tail || memchr(tail, '\n', (size_t)left))
        return err_set(detail, ERR_BAD_CONFIG, "%s: makes no sense from byte %lld on", path,
                       (long long)self->size);
    if (ftruncate(self->fd, self->size) != 0)
        return err_set(detail, ERR_BAD_CONFIG, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

err_t sim_journal_open(sim_journal_t **self_p, const char *path, sim_journal_apply_fn *apply,
                       void *arg, err_detail_t *detail)
{
    *self_p = NULL;
    sim_journal_t *self = calloc(1, sizeof *self);
    if (!self)
        return err_set(detail, ERR_BAD_CONFIG, "%s: out of memory", path);
    self->fd = -1;
    err_t err = open_and_replay(self, path, apply, arg, detail);
    if (err == ERR_OK)
        *self_p = self;
    else
        sim_journal_close(&self);
    return err;
}

void sim_journal_close(sim_journal_t **self_p)
{
    if (!*self_p)
        return;
    if ((*self_p)->fd >= 0)
        close((*self_p)->fd);
    free(*self_p);
    *self_p = NULL;
}

err_t sim_journal_append(sim_journal_t *self, buf_t *line)
{
    buf_add(line, "\n", 1);
    if (line->overflow || line->size > LINE_MAX_BYTES)
        return ERR_STORE_UNAVAILABLE;
    ssize_t written = write(self->fd, line->data, line->size);
    if (written == (ssize_t)line->size) {
        self->size += written;
        return ERR_OK;
    }
    /* Half a line would spoil the one after it. */
    int cut = ftruncate(self->fd, self->size);
    (void)cut;
    return ERR_STORE_UNAVAILABLE;
}

err_t sim_journal_clear(sim_journal_t *self)
{
    if (ftruncate(self->fd, 0) != 0)
        return ERR_STORE_UNAVAILABLE;
    self->size = 0;
    return ERR_OK;
}
