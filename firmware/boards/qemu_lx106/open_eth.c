/* open_eth.c - the OpenCores network card of QEMU's lx60 board. Polled; its interrupt only wakes the core.
 * Must never believe a length that the card gives. Tests: test/qemu. Source: OpenCores Ethernet MAC
 * specification, QEMU hw/net/opencores_eth.c. */
#include "../board.h"
#include "target.h"

#define REG(index)     REG32(ETH + 4 * (index))
#define FLAGS(index)   REG32(ETH_TABLE + 8 * (index))
#define ADDRESS(index) REG32(ETH_TABLE + 8 * (index) + 4)
#define BUFFER         1536u
#define TX_COUNT       2u
#define RX_COUNT       8u
#define READY          0x8000u /* TX: to be sent; RX: empty */
#define INTERRUPT      0x4000u
#define WRAP           0x2000u /* the last descriptor */
#define PAD_AND_CHECK  0x1800u

enum { MODE = 0, SOURCE = 1, MASK = 2, TX_DESCRIPTORS = 8, MAC_LOW = 16, MAC_HIGH = 17 };

static uint32_t tx, rx;

bool board_nic_begin(const uint8_t mac[6])
{
    REG(MODE) = 0x800;
    REG(MODE) = 0;
    REG(TX_DESCRIPTORS) = TX_COUNT;
    REG(MAC_LOW) = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];
    REG(MAC_HIGH) = (uint32_t)mac[0] << 8 | mac[1];
    for (uint32_t i = 0; i < TX_COUNT + RX_COUNT; i++) {
        ADDRESS(i) = ETH_MEMORY + i * BUFFER;
        FLAGS(i) = (i >= TX_COUNT ? READY | INTERRUPT : 0) |
                   (i == TX_COUNT - 1 || i == TX_COUNT + RX_COUNT - 1 ? WRAP : 0);
    }
    REG(SOURCE) = 0x7F;
    REG(MASK) = 4;      /* a frame came */
    REG(MODE) = 0xA003; /* pad, check sequence, both directions */
    return true;
}

void *board_nic_frame(void)
{
    return (void *)(uintptr_t)(ETH_MEMORY + tx * BUFFER);
}

void board_nic_send(size_t len)
{
    if (len > BOARD_FRAME_MAX) return;
    FLAGS(tx) = (uint32_t)len << 16 | READY | PAD_AND_CHECK | (tx == TX_COUNT - 1 ? WRAP : 0);
    while ((FLAGS(tx) & READY) != 0) {
    }
    tx = (tx + 1) % TX_COUNT;
}

size_t board_nic_receive(void **out)
{
    for (;;) {
        uint32_t flags = FLAGS(TX_COUNT + rx), len = flags >> 16;
        if ((flags & READY) != 0) return 0;
        *out = (void *)(uintptr_t)(ETH_MEMORY + (TX_COUNT + rx) * BUFFER);
        if (len > 4 && len <= BOARD_FRAME_MAX + 4) return len - 4;
        board_nic_received();
    }
}

void board_nic_received(void)
{
    FLAGS(TX_COUNT + rx) = READY | INTERRUPT | (rx == RX_COUNT - 1 ? WRAP : 0);
    rx = (rx + 1) % RX_COUNT;
}
