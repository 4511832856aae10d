#include "part.h"
int more(int n) { return n * 100; }
