import java.io.File;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.HdfsConfiguration;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;
import org.apache.hadoop.service.Service;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.nodemanager.NodeManager;
import org.apache.hadoop.yarn.server.resourcemanager.ResourceManager;

/**
 * Runs Hadoop's own daemons, all that its arguments name, in this process: nn, dn1, rm, nm1... Of each, the file
 * NAME.xml in the configuration directory (the first argument) comes above the common settings.
 *
 * <p>Orders come line by line on standard input: "start NAME", "stop NAME" (as an administrator would) and "drop NAME"
 * (as a death would, as far as that can be had without one: nobody is told, containers stay). Each is answered by a
 * line "done" or "failed WHY"; "exit" ends the process in an orderly way. When standard input closes, because whoever
 * started it is dead, it ends, and with it the containers and the directory that holds all of the cluster.
 */
public final class Launcher {
  private interface Daemon {
    void stop() throws Exception;

    void drop() throws Exception;
  }

  private static final Map<String, Daemon> RUNNING = new LinkedHashMap<>();
  private static File directory;

  public static void main(String[] args) throws Exception {
    PrintStream answers = System.out;
    System.setOut(System.err);
    // Metrics of several daemons of a kind would otherwise meet under one name.
    DefaultMetricsSystem.setMiniClusterMode(true);
    directory = new File(args[0]);
    // Not on the class path, which has to be the same for all clusters so that they can share loaded classes.
    ClassLoader loader = new URLClassLoader(new URL[] {directory.toURI().toURL()});
    Thread.currentThread().setContextClassLoader(loader);
    List<String> names = List.of(args).subList(1, args.length);
    // HDFS and YARN do not wait for each other.
    ExecutorService executor = Executors.newFixedThreadPool(2);
    Future<?> hdfs = executor.submit(() -> startAll(names, "nn", "dn"));
    Future<?> yarn = executor.submit(() -> startAll(names, "rm", "nm"));
    try {
      hdfs.get();
      yarn.get();
    } catch (Exception error) {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
    }
    answers.println("started");
    Scanner orders = new Scanner(System.in);
    while (orders.hasNextLine()) answers.println(obey(orders.nextLine().trim().split(" ")));
    end();
  }

  private static Void startAll(List<String> names, String... kinds) throws Exception {
    for (String kind : kinds) for (String name : names) if (kindOf(name).equals(kind)) start(name);
    return null;
  }

  private static String kindOf(String name) {
    return name.replaceAll("[0-9]+$", "");
  }

  private static String obey(String[] order) {
    try {
      Daemon daemon;
      switch (order[0]) {
        case "start":
          start(order[1]);
          break;
        case "stop":
          daemon = RUNNING.remove(order[1]);
          if (daemon != null) daemon.stop();
          break;
        case "drop":
          daemon = RUNNING.remove(order[1]);
          if (daemon != null) daemon.drop();
          break;
        case "exit":
          System.exit(0);
          break;
        default:
          return "failed no order: " + order[0];
      }
      return "done";
    } catch (Throwable error) {
      error.printStackTrace();
      return "failed " + String.valueOf(error).replaceAll("\\s+", " ");
    }
  }

  /** NodeManagers end their containers; but what hangs must not keep the process. */
  private static void end() throws Exception {
    Thread last =
        new Thread(
            () -> {
              for (Map.Entry<String, Daemon> entry : RUNNING.entrySet()) {
                if (!kindOf(entry.getKey()).equals("nm")) continue;
                try {
                  entry.getValue().stop();
                } catch (Throwable error) {
                  error.printStackTrace();
                }
              }
            });
    last.setDaemon(true);
    last.start();
    last.join(10_000);
    FileUtil.fullyDelete(directory.getParentFile());
    Runtime.getRuntime().halt(0);
  }

  private static <C extends Configuration> C configure(C conf, String name) {
    File file = new File(directory, name + ".xml");
    if (file.exists()) conf.addResource(new Path(file.toURI()));
    return conf;
  }

  private static void start(String name) throws Exception {
    Daemon daemon;
    switch (kindOf(name)) {
      case "nn":
        daemon = nameNode(configure(new HdfsConfiguration(), name));
        break;
      case "dn":
        daemon = dataNode(configure(new HdfsConfiguration(), name));
        break;
      case "rm":
        daemon = resourceManager(configure(new YarnConfiguration(), name));
        break;
      case "nm":
        daemon = nodeManager(configure(new YarnConfiguration(), name));
        break;
      default:
        throw new IllegalArgumentException("no daemon: " + name);
    }
    synchronized (RUNNING) {
      RUNNING.put(name, daemon);
    }
  }

  private static Daemon of(Callable<?> stop, Callable<?> drop) {
    return new Daemon() {
      @Override
      public void stop() throws Exception {
        stop.call();
      }

      @Override
      public void drop() throws Exception {
        drop.call();
      }
    };
  }

  private static Daemon nameNode(Configuration conf) throws Exception {
    String names = conf.getTrimmedStrings("dfs.namenode.name.dir")[0];
    if (!new File(new Path(names).toUri().getPath(), "current").exists()) NameNode.format(conf);
    NameNode node = NameNode.createNameNode(new String[0], conf);
    Callable<Void> stop =
        () -> {
          node.stop();
          node.join();
          return null;
        };
    return of(stop, stop);
  }

  private static Daemon dataNode(Configuration conf) throws Exception {
    DataNode node = DataNode.createDataNode(new String[0], conf);
    Callable<Void> stop =
        () -> {
          node.shutdown();
          return null;
        };
    return of(stop, stop);
  }

  private static Daemon resourceManager(Configuration conf) {
    ResourceManager manager = new ResourceManager();
    manager.init(conf);
    manager.start();
    return of(() -> stopped(manager), () -> stopped(manager));
  }

  private static Daemon nodeManager(Configuration conf) {
    NodeManager manager = new NodeManager();
    manager.init(conf);
    manager.start();
    Callable<Void> drop =
        () -> {
          // One that thinks it will be started again keeps its containers and does not say good-bye.
          manager.getConfig().setBoolean(YarnConfiguration.NM_RECOVERY_SUPERVISED, true);
          return stopped(manager);
        };
    return of(() -> stopped(manager), drop);
  }

  private static Void stopped(Service service) {
    service.stop();
    return null;
  }
}
