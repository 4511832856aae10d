// Makes garbage of all ages in several threads, keeps some of it reachable, and prints sums that no collector may change.
// java Collect THREADS ROUNDS
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

public class Collect {
    static final Map<Integer, byte[]> shared = new ConcurrentHashMap<>();

    static final class Node {
        final Node left, right;
        final int value;
        Node(Node left, Node right, int value) {
            this.left = left;
            this.right = right;
            this.value = value;
        }
        long sum() {
            return value + (left == null ? 0 : left.sum()) + (right == null ? 0 : right.sum());
        }
    }

    static Node tree(int depth, int value) {
        return depth == 0 ? new Node(null, null, value)
                          : new Node(tree(depth - 1, 2 * value), tree(depth - 1, 2 * value + 1), value);
    }

    static long work(int thread, int rounds) {
        Node old = tree(14, 1 + thread); // survives all collections
        var recent = new ArrayList<Node>();
        var words = new HashMap<String, Integer>();
        long sum = 0;
        for (int round = 0; round < rounds; round++) {
            recent.add(tree(8, round));
            if (recent.size() > 50) recent.remove(round % 50);
            words.merge("w" + round % 1000, 1, Integer::sum);
            shared.put(thread * 100000 + round % 64, new byte[1 << (round % 16)]);
            if (round % 100 == 0) sum += recent.stream().mapToLong(Node::sum).sum();
        }
        return sum + old.sum() + words.values().stream().mapToLong(n -> n).sum();
    }

    static boolean caught(Runnable what) {
        try {
            what.run();
            return false;
        } catch (NullPointerException | ArithmeticException | StackOverflowError e) {
            return true; // the first and the last come from SIGSEGV in compiled code
        }
    }

    static int zero = 0;
    static Node nothing = null;
    static int deep(int n) { return deep(n + 1) + 1; }

    public static void main(String[] words) throws Exception {
        int threads = Integer.parseInt(words[0]), rounds = Integer.parseInt(words[1]);
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        var results = new ArrayList<Future<Long>>();
        for (int n = 0; n < threads; n++) {
            int thread = n;
            results.add(pool.submit(() -> work(thread, rounds)));
        }
        for (var result : results) System.out.println("sum " + result.get());
        pool.shutdown();
        System.out.println("shared " + shared.size() + " " + shared.values().stream().mapToLong(b -> b.length).sum());
        long caught = IntStream.range(0, 2000).filter(n -> caught(() -> zero = nothing.value)).count()
            + IntStream.range(0, 2000).filter(n -> caught(() -> zero = n / zero)).count()
            + IntStream.range(0, 3).filter(n -> caught(() -> deep(0))).count();
        System.out.println("caught " + caught);
        System.out.println("parallel " + IntStream.range(0, 1 << 20).parallel().mapToLong(n -> n * 31L % 1009).sum());
    }
}
