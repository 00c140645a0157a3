/* fuzz_hub.c - any order of requests, frames, losses and ticks: the hub keeps its promises. */
#include "tests/support/hub_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hub_script_run(data, size);
    return 0;
}
