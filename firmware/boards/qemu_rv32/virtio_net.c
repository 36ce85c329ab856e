/* virtio_net.c - network card of QEMU's "virt" machine, virtio-mmio version 2. Polled; its interrupt only
 * wakes the core. Must never believe a length that the card gives. Tests: test/qemu. Source: VIRTIO 1.0,
 * sections 2.4, 4.2, 5.1. */
#include <string.h>

#include "../board.h"
#include "target.h"

#define REG(off)     REG32(VIRTIO_NET + (off))
#define QUEUE_LEN    8u
#define HEADER       12u /* in front of each frame */
#define BUFFER       1536u
#define FOR_THE_CARD 2u /* descriptor flag: the card writes it */

enum { RX = 0, TX = 1 };

struct descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags, next;
};

struct available {
    uint16_t flags, index, ring[QUEUE_LEN], event;
};

struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, len;
    } ring[QUEUE_LEN];
    uint16_t event;
};

static struct queue {
    struct descriptor descriptors[QUEUE_LEN] __attribute__((aligned(16)));
    struct available available __attribute__((aligned(4)));
    volatile struct used used __attribute__((aligned(4)));
    uint16_t seen;
} queues[2];

static uint8_t rx_buffers[QUEUE_LEN][BUFFER] __attribute__((aligned(16)));
static uint8_t tx_buffer[BUFFER] __attribute__((aligned(16)));
static bool running;

static void barrier(void)
{
    __asm__ volatile("fence iorw, iorw" ::: "memory");
}

static bool negotiate(void)
{
    if (REG(0) != 0x74726976u || REG(4) != 2 || REG(8) != 1) return false;
    REG(0x70) = 0;
    REG(0x70) = 1;
    REG(0x70) = 3;
    REG(0x14) = 0;
    REG(0x24) = 0;
    REG(0x20) = REG(0x10) & (1u << 5); /* a MAC of its own */
    REG(0x14) = 1;
    REG(0x24) = 1;
    REG(0x20) = REG(0x10) & 1u; /* version 1 */
    REG(0x70) = 11;
    return (REG(0x70) & 8) != 0;
}

static void give(unsigned which, uint16_t id)
{
    struct queue *queue = &queues[which];
    queue->available.ring[queue->available.index % QUEUE_LEN] = id;
    barrier();
    queue->available.index++;
    barrier();
    REG(0x50) = which;
}

static void open_queue(unsigned which)
{
    struct queue *queue = &queues[which];
    REG(0x30) = which;
    REG(0x38) = QUEUE_LEN;
    REG(0x80) = (uint32_t)(uintptr_t)queue->descriptors;
    REG(0x84) = 0;
    REG(0x90) = (uint32_t)(uintptr_t)&queue->available;
    REG(0x94) = 0;
    REG(0xA0) = (uint32_t)(uintptr_t)&queue->used;
    REG(0xA4) = 0;
    REG(0x44) = 1;
}

bool board_nic_begin(const uint8_t mac[6])
{
    (void)mac; /* the card takes every frame that comes; the machine's network has only this device */
    if (!negotiate()) return false;
    open_queue(RX);
    open_queue(TX);
    queues[TX].available.flags = 1; /* no interrupt for what was sent */
    REG(0x70) = 15;
    for (uint16_t i = 0; i < QUEUE_LEN; i++) {
        queues[RX].descriptors[i] = (struct descriptor){(uintptr_t)rx_buffers[i], BUFFER, FOR_THE_CARD, 0};
        give(RX, i);
    }
    running = true;
    return true;
}

void *board_nic_frame(void)
{
    return tx_buffer + HEADER;
}

void board_nic_send(size_t len)
{
    if (!running || len > BOARD_FRAME_MAX) return;
    memset(tx_buffer, 0, HEADER);
    queues[TX].descriptors[0] = (struct descriptor){(uintptr_t)tx_buffer, (uint32_t)len + HEADER, 0, 0};
    give(TX, 0);
    while (queues[TX].used.index != queues[TX].available.index) {
    }
}

size_t board_nic_receive(void **out)
{
    struct queue *queue = &queues[RX];
    while (running && queue->used.index != queue->seen) {
        barrier();
        uint32_t id = queue->used.ring[queue->seen % QUEUE_LEN].id;
        uint32_t len = queue->used.ring[queue->seen % QUEUE_LEN].len;
        if (id < QUEUE_LEN && len > HEADER && len <= HEADER + BOARD_FRAME_MAX) {
            *out = rx_buffers[id] + HEADER;
            return len - HEADER;
        }
        board_nic_received();
    }
    return 0;
}

void board_nic_received(void)
{
    struct queue *queue = &queues[RX];
    uint32_t id = queue->used.ring[queue->seen % QUEUE_LEN].id;
    queue->seen++;
    if (id < QUEUE_LEN) give(RX, (uint16_t)id);
}
