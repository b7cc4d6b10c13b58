import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Makes empty files in HDFS, many at a time: directory, count, threads. Run as a source file. */
public final class MakeFiles {
  private MakeFiles() {}

  public static void main(String[] args) throws Exception {
    var files = FileSystem.get(new Configuration());
    int count = Integer.parseInt(args[1]);
    int threads = Integer.parseInt(args[2]);
    var pool = Executors.newFixedThreadPool(threads);
    List<Future<?>> makers = new ArrayList<>();
    for (int maker = 0; maker < threads; maker++) {
      int first = maker;
      makers.add(
          pool.submit(
              () -> {
                for (int index = first; index < count; index += threads) {
                  files.create(new Path(args[0], "file " + index)).close();
                }
                return null;
              }));
    }
    for (var maker : makers) maker.get();
    pool.shutdown();
  }
}
