// setjmp and longjmp through many frames, with callee-saved integer and floating-point registers alive.
#include <setjmp.h>
#include <stdio.h>

static jmp_buf back;
static int depth_reached;

static __attribute__((noinline)) double down(int n, double x) {
    if (n == 0) longjmp(back, depth_reached + 1);
    depth_reached++;
    double kept = x * 1.5 + n;
    return n > 1000000 ? kept : down(n - 1, kept) + kept;
}

int main(void) {
    volatile int round = 0;
    double values[6] = {1, 2, 3, 4, 5, 6};
    long numbers[6] = {1, 2, 3, 4, 5, 6};
    int got = setjmp(back);
    printf("round %d got %d\n", round, got);
    if (++round < 5) {
        depth_reached = 0;
        printf("%f\n", down(round * 100, values[round]));
    }
    double sum = 0;
    for (int i = 0; i < 6; i++) sum += values[i] * (double)numbers[i];
    printf("%g\n", sum);
    if (setjmp(back) == 0) longjmp(back, 0); // 0 becomes 1
    puts("end");
    return 0;
}
