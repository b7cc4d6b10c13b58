package org.pushbroom.yarn;

import java.io.IOException;
import java.lang.reflect.UndeclaredThrowableException;
import java.nio.file.Path;
import java.security.PrivilegedExceptionAction;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.exceptions.YarnException;

/** What all applications of the program share. */
final class Cluster {
  /** Calls of NodeManagers that may wait at the same time. Most answer at once; those of dead nodes wait. */
  private static final int WORKERS = 64;

  final Configuration configuration;
  final Racks racks = new Racks();
  final NodeWeb web;
  final Logs logs;
  final ExecutorService workers = workers();

  /** Where applications' ledgers are. */
  final Path state;

  /** Milliseconds between heartbeats of an application that asks for containers or holds some. */
  final long busyMs;

  /** Of one that does not. */
  final long idleMs;

  /** The program's, for YARN. */
  final String user;

  private final YarnClient yarn = YarnClient.createYarnClient();

  Cluster(Configuration configuration, NodeWeb web, Path state, long busyMs, long idleMs)
      throws IOException {
    this.configuration = configuration;
    this.web = web;
    this.logs = new Logs(configuration, web);
    this.state = state;
    this.busyMs = busyMs;
    this.idleMs = idleMs;
    this.user = UserGroupInformation.getLoginUser().getShortUserName();
    yarn.init(configuration);
    yarn.start();
  }

  /** Something to be done with the ResourceManager. */
  interface Deed<T> {
    T with(YarnClient yarn) throws YarnException, IOException;
  }

  /** As the user of the program, whichever application's user the calling thread acts as. */
  <T> T asOurselves(Deed<T> deed) throws YarnException, IOException, InterruptedException {
    try {
      return UserGroupInformation.getLoginUser().doAs((PrivilegedExceptionAction<T>) () -> deed.with(yarn));
    } catch (UndeclaredThrowableException wrapped) {
      if (wrapped.getCause() instanceof YarnException) throw (YarnException) wrapped.getCause();
      throw wrapped;
    }
  }

  private static ExecutorService workers() {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(WORKERS, WORKERS, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>());
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }
}
