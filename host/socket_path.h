/* socket_path.h - the socket of a data folder, whose path may be longer than the address of a socket can hold. */
#ifndef MOLT_HOST_SOCKET_PATH_H
#define MOLT_HOST_SOCKET_PATH_H

#define SOCKET_PATH_NAME "molt.sock" /* in the data folder: the API, mode 0600, no token needed */
#define SOCKET_PATH_LEN  108         /* sizeof sockaddr_un.sun_path, with the NUL */

/* Writes a path by which this process can reach the socket of the folder: the plain one when it is short enough, else
 * one through /proc/self/fd, good as long as *fd (the folder, closed at exec) is open. *fd is -1 for a plain one.
 * 0, or -1: there is no such folder; then *fd is -1. */
int socket_path(const char *folder, char out[SOCKET_PATH_LEN], int *fd);

#endif
