// class: calls  size: 90  quick: 8
// Virtual calls through an array of mixed shapes, a million a round, SIZE rounds.
#include "bench.h"
#include <memory>
#include <vector>

namespace {

struct Shape {
    virtual ~Shape() = default;
    virtual uint64_t area() const = 0;
    virtual void grow(uint64_t by) = 0;
};
struct Square : Shape {
    uint64_t a;
    explicit Square(uint64_t n) : a(n) {}
    uint64_t area() const override { return a * a; }
    void grow(uint64_t by) override { a = (a + by) & 1023; }
};
struct Rectangle : Shape {
    uint64_t a, b;
    explicit Rectangle(uint64_t n) : a(n), b(n ^ 5) {}
    uint64_t area() const override { return a * b; }
    void grow(uint64_t by) override { a = (a + by) & 511, b = (b + 1) & 255; }
};
struct Triangle : Rectangle {
    using Rectangle::Rectangle;
    uint64_t area() const override { return a * b / 2; }
};
struct Nothing : Shape {
    uint64_t area() const override { return 1; }
    void grow(uint64_t) override {}
};

std::unique_ptr<Shape> make(uint64_t kind) {
    switch (kind % 4) {
    case 0: return std::make_unique<Square>(kind & 63);
    case 1: return std::make_unique<Rectangle>(kind & 63);
    case 2: return std::make_unique<Triangle>(kind & 63);
    default: return std::make_unique<Nothing>();
    }
}

} // namespace

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 2, sum = 0;
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 1000; i++) shapes.push_back(make(chance(&seed) >> 33));
    for (uint64_t round = 0; round < size; round++)
        for (int i = 0; i < 500; i++)
            for (auto& shape : shapes) {
                shape->grow(round);
                sum += shape->area();
            }
    return report(sum);
}
