// class: fp  size: 900  quick: 250
// Points of the Mandelbrot set in a SIZE x SIZE picture, at most 300 steps each.
#include "bench.h"

int main(int argc, char** argv) {
    int side = (int)size_argument(argc, argv);
    uint64_t sum = 0;
    for (int row = 0; row < side; row++)
        for (int column = 0; column < side; column++) {
            double cr = 3.0 * column / side - 2, ci = 2.0 * row / side - 1, zr = 0, zi = 0;
            int steps = 0;
            while (steps < 300) {
                double r2 = zr * zr, i2 = zi * zi;
                if (r2 + i2 > 4) break;
                zi = 2 * zr * zi + ci;
                zr = r2 - i2 + cr;
                steps++;
            }
            sum = mix(sum, (uint64_t)steps);
        }
    return report(sum);
}
