// A C program for compilers under test: no includes, so that the compiler proper can take it as it is.
typedef unsigned long size_t;
int printf(const char*, ...);
void* malloc(size_t);
void free(void*);
int atoi(const char*);
double sqrt(double);
void qsort(void*, size_t, size_t, int (*)(const void*, const void*));

struct node {
    struct node *left, *right;
    unsigned key;
    union {
        float f;
        char text[4];
    } value;
};
enum { small = 3, large = 1 << 10 };
static const char* const names[] = {"zero", "one", [small] = "three"};

static unsigned chance(void) {
    static unsigned state = 12345;
    return (state = state * 1103515245u + 12345u) >> 8;
}

static struct node* insert(struct node* tree, unsigned key) {
    if (!tree) {
        struct node* made = malloc(sizeof *made);
        *made = (struct node){.key = key, .value.f = (float)key / 3};
        return made;
    }
    struct node** side = key < tree->key ? &tree->left : &tree->right;
    *side = insert(*side, key);
    return tree;
}

static int depth(const struct node* tree) {
    if (!tree) return 0;
    int a = depth(tree->left), b = depth(tree->right);
    return (a > b ? a : b) + 1;
}

static unsigned long long mixed(int n) {
    unsigned long long h = 14695981039346656037ull;
    for (int i = 0; i < n; i++) {
        switch (i % 7) {
        case 0: h ^= (unsigned)i; break;
        case 1: h *= 1099511628211ull; break;
        case 2: h = h << 13 | h >> 51; break;
        case 3: h += h / (unsigned)(i + 1); break;
        case 5: h -= (unsigned long long)(h % 97) << (i % 40); // fall through
        default: h ^= ~(h >> 29);
        }
    }
    return h;
}

static double matrix(int n) {
    double a[n][n], b[n][n], trace = 0; // of variable length
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) a[i][k] = 1.0 / (i + k + 1), b[i][k] = i == k ? 2 : (i - k) / 10.0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++) trace += a[i][j] * b[j][k] * (i == k);
    return trace;
}

static int compare(const void* a, const void* b) {
    unsigned x = *(const unsigned*)a, y = *(const unsigned*)b;
    return (x > y) - (x < y);
}

int main(int count, char** words) {
    int n = count > 1 ? atoi(words[1]) : large;
    struct node* tree = 0;
    unsigned* keys = malloc((size_t)n * sizeof *keys);
    for (int i = 0; i < n; i++) tree = insert(tree, keys[i] = chance() % 100000);
    qsort(keys, (size_t)n, sizeof *keys, compare);
    printf("depth %d, keys %u %u %u\n", depth(tree), keys[0], keys[n / 2], keys[n - 1]);
    printf("mixed %llx, trace %.10f, root %.6f, value %g\n", mixed(n * 10), matrix(20), sqrt(n), (double)tree->value.f);
    printf("%s %s %c %5.2e %-6d|%+d\n", names[1], names[small], "letters"[n % 7], 1e10 / n, n, -n);
    free(keys);
    return n % 256;
}
