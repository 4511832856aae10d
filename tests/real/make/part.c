#include "part.h"
int part(int n) { return more(n) + 1; }
