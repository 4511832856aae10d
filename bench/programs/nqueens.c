// class: calls  size: 12  quick: 10
// All placements of SIZE queens, with the board in an array: recursion with a loop and unpredictable branches.
#include "bench.h"

static int column[32];

static NOINLINE int safe(int row) {
    for (int i = 0; i < row; i++) {
        int d = column[i] - column[row];
        if (d == 0 || d == row - i || d == i - row) return 0;
    }
    return 1;
}

static NOINLINE uint64_t place(int row, int n) {
    if (row == n) return 1;
    uint64_t found = 0;
    for (column[row] = 0; column[row] < n; column[row]++)
        if (safe(row)) found += place(row + 1, n);
    return found;
}

int main(int argc, char** argv) { return report(place(0, (int)size_argument(argc, argv))); }
