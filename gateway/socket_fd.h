/* socket_fd.h - the descriptor of a civetweb connection, which civetweb tells nobody. */
#ifndef TIFFIN_GATEWAY_SOCKET_FD_H
#define TIFFIN_GATEWAY_SOCKET_FD_H

#include <civetweb.h>

/* Found by both ends of the connection among the descriptors of this process; -1 when there is none
 * any more. Valid while one of civetweb's threads serves the connection. */
int socket_fd_of(const struct mg_connection *mg);

#endif
