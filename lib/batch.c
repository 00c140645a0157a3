/* batch.c - see batch.h. The depth of the recursion is the logarithm of the batch. */
#include "lib/batch.h"

static void split_range(size_t first, size_t count, batch_run_fn *run, batch_failed_fn *failed,
                        void *arg)
{
    err_detail_t detail = {{0}};
    const err_t err = run(arg, first, count, &detail);
    if (err == ERR_OK)
        return;
    if (err == ERR_UNPROCESSABLE && count > 1) {
        const size_t half = count / 2;
        split_range(first, half, run, failed, arg);
        split_range(first + half, count - half, run, failed, arg);
        return;
    }
    for (size_t i = 0; i < count; i++)
        failed(arg, first + i, err, &detail);
}

void batch_split(size_t count, batch_run_fn *run, batch_failed_fn *failed, void *arg)
{
    if (count > 0)
        split_range(0, count, run, failed, arg);
}
