# RV32IMC, the core of the ESP32-C3, with Debian's compiler and picolibc.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_ASM_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# The linker looks libraries up by the architecture without its newer extension names.
set(BOARD_COMPILE_OPTIONS -march=rv32imc_zicsr_zifencei -mabi=ilp32 -specs=picolibc.specs)
set(BOARD_LINK_OPTIONS -march=rv32imc -mabi=ilp32 -nostartfiles -specs=picolibc.specs -DPICOLIBC_INTEGER_PRINTF_SCANF)
