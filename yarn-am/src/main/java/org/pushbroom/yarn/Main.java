package org.pushbroom.yarn;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.VersionInfo;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/**
 * The application-master program. With Hadoop's configuration directory on the class path:
 *
 * <pre>
 * java ... org.pushbroom.yarn.Main beside --state DIRECTORY [--principal NAME --keytab FILE]
 * java ... org.pushbroom.yarn.Main am --url URL --app NAME
 * </pre>
 *
 * The first serves any number of unmanaged applications, beside the service, by lines on stdin and stdout. The second
 * is the master of one application, in a container, and dials the service. Both take {@code --busy-ms} and {@code
 * --idle-ms}, the time between heartbeats.
 */
public final class Main {
  private static final List<String> KNOWN =
      List.of("state", "principal", "keytab", "url", "app", "busy-ms", "idle-ms");

  private Main() {}

  /** Ends with status 2 on a wrong command line, with 1 if it can't begin. */
  public static void main(String[] arguments) {
    // Hadoop may print what it likes: what the service reads is written by one writer alone.
    System.setOut(System.err);
    try {
      Map<String, String> options = options(arguments);
      Cluster cluster = cluster(options);
      if (arguments[0].equals("am")) dial(cluster, options);
      else serve(cluster);
    } catch (IllegalArgumentException wrong) {
      System.err.println("pushbroom-yarn-am: " + wrong.getMessage());
      System.exit(2);
    } catch (Exception failure) {
      System.err.println("pushbroom-yarn-am: can't begin: " + failure);
      System.exit(1);
    }
  }

  private static Map<String, String> options(String[] arguments) {
    if (arguments.length == 0 || !List.of("beside", "am").contains(arguments[0])) {
      throw new IllegalArgumentException("the first argument has to be \"beside\" or \"am\"");
    }
    Map<String, String> options = new HashMap<>();
    for (int i = 1; i < arguments.length; i += 2) {
      String name = arguments[i].startsWith("--") ? arguments[i].substring(2) : "";
      if (!KNOWN.contains(name)) throw new IllegalArgumentException("unknown argument " + arguments[i]);
      if (i + 1 == arguments.length) throw new IllegalArgumentException("--" + name + " needs a value");
      options.put(name, arguments[i + 1]);
    }
    List<String> needed = arguments[0].equals("am") ? List.of("url", "app") : List.of("state");
    for (String name : needed) {
      if (!options.containsKey(name)) throw new IllegalArgumentException("--" + name + " is missing");
    }
    if (options.containsKey("keytab") != options.containsKey("principal")) {
      throw new IllegalArgumentException("--principal and --keytab go together");
    }
    return options;
  }

  private static Cluster cluster(Map<String, String> options) throws IOException, GeneralSecurityException {
    Configuration configuration = new YarnConfiguration();
    // A ResourceManager that is back is found at once; Hadoop's own pause is half a minute.
    configuration.setInt(YarnConfiguration.RESOURCEMANAGER_CONNECT_RETRY_INTERVAL_MS, 1000);
    UserGroupInformation.setConfiguration(configuration);
    if (options.containsKey("keytab")) {
      UserGroupInformation.loginUserFromKeytab(options.get("principal"), options.get("keytab"));
    }
    return new Cluster(
        configuration,
        new NodeWeb(configuration),
        Path.of(options.getOrDefault("state", "state")).toAbsolutePath(),
        milliseconds(options, "busy-ms", "150"),
        milliseconds(options, "idle-ms", "1000"));
  }

  private static long milliseconds(Map<String, String> options, String name, String otherwise) {
    String text = options.getOrDefault(name, otherwise);
    if (text.matches("[1-9]\\d{0,8}")) return Long.parseLong(text);
    throw new IllegalArgumentException("--" + name + " has to be a number of milliseconds");
  }

  private static void serve(Cluster cluster) throws IOException {
    EventSink events = new LineWriter(new FileOutputStream(FileDescriptor.out));
    Orders orders = new Orders(cluster, events, false);
    events.tell(Events.ready(VersionInfo.getVersion(), cluster.user));
    keepTicket();
    BufferedReader input =
        new BufferedReader(new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) orders.take(line);
    // The service is gone. Nothing is stopped and nothing unregistered: the next program takes all of it over.
    Runtime.getRuntime().halt(0);
  }

  /** Hadoop asks for a new ticket when it opens a connection; one that is kept open for days needs it before. */
  private static void keepTicket() throws IOException {
    if (!UserGroupInformation.isLoginKeytabBased()) return;
    UserGroupInformation user = UserGroupInformation.getLoginUser();
    ScheduledExecutorService clock =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "ticket");
              thread.setDaemon(true);
              return thread;
            });
    clock.scheduleWithFixedDelay(
        () -> {
          try {
            user.checkTGTAndReloginFromKeytab();
          } catch (IOException failure) {
            System.err.println("pushbroom-yarn-am: no new Kerberos ticket: " + failure);
          }
        },
        1,
        1,
        TimeUnit.MINUTES);
  }

  private static void dial(Cluster cluster, Map<String, String> options) throws Exception {
    String secret = System.getenv("PUSHBROOM_AM_SECRET");
    String container = System.getenv("CONTAINER_ID");
    if (secret == null) throw new IllegalArgumentException("PUSHBROOM_AM_SECRET is not in the environment");
    if (container == null) throw new IllegalArgumentException("YARN's CONTAINER_ID is not in the environment");
    int attempt = ContainerId.fromString(container).getApplicationAttemptId().getAttemptId();
    ServiceLink service = new ServiceLink(options.get("url"), secret, System.getenv("PUSHBROOM_AM_CA"), attempt);
    Orders orders = new Orders(cluster, service, true);
    service.tell(Events.ready(VersionInfo.getVersion(), cluster.user));
    orders.open(options.get("app"), Claims.own(cluster));
    Thread poller = new Thread(() -> untilGone(orders, () -> service.takeOrders(orders::take)), "orders");
    poller.setDaemon(true);
    poller.start();
    untilGone(orders, service::postEvents);
    Runtime.getRuntime().halt(0);
  }

  private interface Conversation {
    void hold() throws ServiceLink.Gone, InterruptedException;
  }

  /**
   * If a newer master has taken over, the ResourceManager listens to this one no more; else the service has forgotten
   * the application, which has to end then.
   */
  private static void untilGone(Orders orders, Conversation conversation) {
    try {
      conversation.hold();
    } catch (ServiceLink.Gone gone) {
      try {
        orders.abandon("The service does not know this application any more.");
      } catch (InterruptedException ending) {
        Thread.currentThread().interrupt();
      }
      Runtime.getRuntime().halt(0);
    } catch (InterruptedException ending) {
      Thread.currentThread().interrupt();
    }
  }
}
