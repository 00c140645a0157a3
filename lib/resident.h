/* resident.h - gives back the memory that only the start of a process needed. */
#ifndef TIFFIN_LIB_RESIDENT_H
#define TIFFIN_LIB_RESIDENT_H

/* Unmaps the pages of code and constants that the dynamic loader and the initialisation touched (of
 * some forty libraries, most never used again) and returns free heap. What is needed again is
 * mapped again from the page cache, at the price of a minor fault. Call once, when the process is
 * up. Any thread. */
void resident_trim(void);

#endif
