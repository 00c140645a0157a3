/* router_replay.h - tiffin-router --replay PAYMENT_ID: makes the decisions about a payment again,
 * from what is kept of them, and says whether they come out the same.
 */
#ifndef TIFFIN_SERVICES_ROUTER_REPLAY_H
#define TIFFIN_SERVICES_ROUTER_REPLAY_H

/* Prints what it finds. The exit status: 0 each decision is the same again; 1 one is not; 2 there
 * is none to be found, or the database cannot be read; EXIT_CONFIG `payment_id` is none. */
int router_replay(const char *database_url, const char *payment_id);

#endif
