# QEMU's riscv "virt" machine: boots like an ESP32-C3.
set(BOARD_CHIP esp32c3)
set(BOARD_LOMUL 0)
set(BOARD_SLOTS slots_esp32)
set(BOARD_DEFINES APP_DESCRIPTOR)
set(BOARD_SOURCES boards/qemu_rv32/board.c boards/qemu_rv32/watchdog.c boards/qemu_rv32/virtio_net.c)
set(BOARD_START boards/qemu_rv32/start.S)
set(BOARD_LIBRARIES "")
