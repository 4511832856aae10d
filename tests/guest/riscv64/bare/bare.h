// What programs without an operating system share: where the devices of `virt` are, a way to print, and a handler.
#define UART 0x10000000
#define FINISHER 0x100000
#define CLINT 0x2000000
#define RAM 0x80000000
