/* A capture of one NIC as a pcapng file. */
#ifndef VMK_NET_PCAPNG_H
#define VMK_NET_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcapng;

/* Takes `fd`, a regular file or a pipe that somebody reads, also when it fails. NULL: out of memory, or the
 * file takes nothing. */
struct pcapng *pcapng_open(int fd, const char *interface);
void pcapng_packet(struct pcapng *p, bool inbound, const uint8_t *frame, size_t len, uint64_t now);
void pcapng_close(struct pcapng *p);

#endif
