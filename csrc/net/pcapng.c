/* pcapng (draft-ietf-opsawg-pcapng): a section header, one interface with nanosecond times, and an enhanced
 * packet block per frame with its direction. Times are VM time since power-on.
 *
 * Blocks are written in the byte order of the host, which the section header shows. They are collected and
 * written in large pieces; a file that takes no more (a full disk, a closed pipe) ends the capture, not the
 * VM: what is there stays a valid capture up to its last whole piece. */
#include "net/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/port.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_ETHERNET 1u
#define OPT_END 0u
#define OPT_APPLICATION 4u   /* of a section */
#define OPT_NAME 2u          /* of an interface */
#define OPT_RESOLUTION 9u
#define OPT_FLAGS 2u         /* of a packet: 1 inbound, 2 outbound */
#define NAME_MAX_BYTES 64u
#define BUFFER (64u << 10)
#define LARGEST_BLOCK (NET_FRAME_MAX + 256u)

struct pcapng {
    int fd;
    bool broken;
    size_t len, block; /* bytes in the buffer, where the open block starts */
    uint8_t buffer[BUFFER];
};

static void flush(struct pcapng *p)
{
    size_t done = 0;
    while (!p->broken && done < p->len) {
        ssize_t n = write(p->fd, p->buffer + done, p->len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            p->broken = true;
    }
    p->len = 0;
}

static void put(struct pcapng *p, const void *bytes, size_t len)
{
    memcpy(p->buffer + p->len, bytes, len);
    p->len += len;
}

static void put16(struct pcapng *p, uint16_t value) { put(p, &value, sizeof(value)); }
static void put32(struct pcapng *p, uint32_t value) { put(p, &value, sizeof(value)); }

static void pad(struct pcapng *p)
{
    static const uint8_t zero[4];
    put(p, zero, -p->len & 3);
}

static void option(struct pcapng *p, uint16_t code, const void *value, uint16_t len)
{
    put16(p, code);
    put16(p, len);
    put(p, value, len);
    pad(p);
}

/* Blocks begin at a multiple of four in the buffer, as all of them have such lengths. */
static void begin(struct pcapng *p, uint32_t type)
{
    if (p->len + LARGEST_BLOCK > BUFFER)
        flush(p);
    p->block = p->len;
    put32(p, type);
    put32(p, 0);
}

static void end(struct pcapng *p)
{
    put16(p, OPT_END);
    put16(p, 0);
    uint32_t length = (uint32_t)(p->len - p->block + 4);
    put32(p, length);
    memcpy(p->buffer + p->block + 4, &length, sizeof(length));
}

static void section(struct pcapng *p)
{
    begin(p, BLOCK_SECTION);
    put32(p, BYTE_ORDER_MAGIC);
    put16(p, 1); /* version 1.0 */
    put16(p, 0);
    put32(p, UINT32_MAX); /* length of the section: not known */
    put32(p, UINT32_MAX);
    option(p, OPT_APPLICATION, "vmm", 3);
    end(p);
}

static void interface(struct pcapng *p, const char *name)
{
    static const uint8_t nanoseconds = 9;
    begin(p, BLOCK_INTERFACE);
    put16(p, LINK_ETHERNET);
    put16(p, 0);
    put32(p, 0); /* frames are whole */
    option(p, OPT_NAME, name, (uint16_t)strnlen(name, NAME_MAX_BYTES));
    option(p, OPT_RESOLUTION, &nanoseconds, 1);
    end(p);
}

struct pcapng *pcapng_open(int fd, const char *name)
{
    struct pcapng *p = malloc(sizeof(*p));
    if (!p) {
        close(fd);
        return NULL;
    }
    p->fd = fd;
    p->broken = false;
    p->len = 0;
    section(p);
    interface(p, name);
    flush(p);
    if (p->broken) {
        pcapng_close(p);
        return NULL;
    }
    return p;
}

void pcapng_packet(struct pcapng *p, bool inbound, const uint8_t *frame, size_t len, uint64_t now)
{
    uint32_t flags = inbound ? 1 : 2;
    if (p->broken || len > NET_FRAME_MAX)
        return;
    begin(p, BLOCK_PACKET);
    put32(p, 0); /* the interface */
    put32(p, (uint32_t)(now >> 32));
    put32(p, (uint32_t)now);
    put32(p, (uint32_t)len);
    put32(p, (uint32_t)len);
    put(p, frame, len);
    pad(p);
    option(p, OPT_FLAGS, &flags, sizeof(flags));
    end(p);
}

void pcapng_close(struct pcapng *p)
{
    flush(p);
    close(p->fd);
    free(p);
}
