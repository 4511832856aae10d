// A program without a kernel: a word on the serial port, then it waits for an interrupt that does not come.
void _start(void) {
    for (const char* c = "FIRST\n"; *c; c++) *(volatile unsigned char*)SERIAL = (unsigned char)*c;
    for (;;) __asm__ volatile("wfi");
}
