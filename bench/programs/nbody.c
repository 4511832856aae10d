// class: fp  size: 3000000  quick: 200000
// Five bodies under gravity, SIZE steps: multiply, add, divide and square root in f64.
#include "bench.h"
#include <math.h>

enum { bodies = 5 };
struct body {
    double x[3], v[3], mass;
};
static struct body body[bodies];

static NOINLINE void step(double dt) {
    for (int i = 0; i < bodies; i++)
        for (int j = i + 1; j < bodies; j++) {
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) d[k] = body[i].x[k] - body[j].x[k], square += d[k] * d[k];
            double magnitude = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                body[i].v[k] -= d[k] * body[j].mass * magnitude;
                body[j].v[k] += d[k] * body[i].mass * magnitude;
            }
        }
    for (int i = 0; i < bodies; i++)
        for (int k = 0; k < 3; k++) body[i].x[k] += dt * body[i].v[k];
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 8, sum = 0;
    for (int i = 0; i < bodies; i++) {
        body[i].mass = i ? 1.0 / (double)(i * 300) : 40;
        for (int k = 0; k < 3; k++) {
            body[i].x[k] = i * 5 + (double)(chance(&seed) >> 40) / 16777216;
            body[i].v[k] = (double)(chance(&seed) >> 40) / 16777216 - 0.5;
        }
    }
    for (uint64_t i = 0; i < size; i++) step(0.001);
    for (int i = 0; i < bodies; i++)
        for (int k = 0; k < 3; k++) sum = mix_double(mix_double(sum, body[i].x[k]), body[i].v[k]);
    return report(sum);
}
