package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.security.PrivilegedExceptionAction;
import java.util.function.Consumer;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateResponse;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterResponse;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.Container;
import org.apache.hadoop.yarn.api.records.ContainerStatus;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.api.records.Priority;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.client.ClientRMProxy;
import org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException;
import org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.hadoop.yarn.proto.YarnServiceProtos.SchedulerResourceTypes;
import org.apache.hadoop.yarn.util.resource.ResourceUtils;

/** One application and its heartbeat, on a thread of its own. Orders come from another one. */
final class Application implements Runnable {
  private static final long RETRY_MS = 1000;
  /** Orders come in crowds: so long one is waited for, that one heartbeat takes them all. */
  private static final long CROWD_MS = 5;
  /** For the ResourceManager to know how an application has ended whose attempt it does not know any more. */
  private static final int REPORTS = 20;

  private final String name;
  private final Claim claim;
  private final Cluster cluster;
  private final EventSink events;
  private final Consumer<Application> onClosed;
  private final Object wake = new Object();

  private volatile Claim.Mastership master;
  private volatile ResourceManagerLink link;
  private String queue;
  private Resource maximum;
  private boolean isCpuCounted;
  private String toldHeadroom;

  /** Null until the application is registered. */
  private volatile Containers containers;

  private volatile Closing closing;

  Application(String name, Claim claim, Cluster cluster, EventSink events, Consumer<Application> onClosed) {
    this.name = name;
    this.claim = claim;
    this.cluster = cluster;
    this.events = events;
    this.onClosed = onClosed;
  }

  String name() {
    return name;
  }

  boolean is(ApplicationId id) {
    return master != null && master.application.equals(id);
  }

  /** Asks for a container; only after {@code opened}. */
  void ask(Ask ask) {
    if (containers == null) {
      refuse(ask.request, "The application is not open.");
      return;
    }
    link.ask(ask);
    wake();
  }

  void refuse(long request, String reason) {
    events.tell(Events.ended(name, request, ExitStatus.REFUSED, reason));
  }

  /** Ends a container, or takes the request back. */
  void stop(long request) {
    if (containers != null && (link.withdraw(request) == null) && containers.stop(request)) {
      wake();
      return;
    }
    events.tell(Events.ended(name, request, ExitStatus.WITHDRAWN, "Stopped by order before it had a container."));
    wake();
  }

  void prioritise(int priority) {
    if (master == null) return;
    cluster.workers.execute(
        () -> {
          try {
            ApplicationId id = master.application;
            cluster.asOurselves(yarn -> yarn.updateApplicationPriority(id, Priority.newInstance(priority)));
          } catch (YarnException | IOException | InterruptedException | RuntimeException failure) {
            events.say(EventSink.Level.warn, "The priority of " + name + " is not changed: " + failure.getMessage());
          }
        });
  }

  void close(FinalApplicationStatus status, String message) {
    closing = new Closing(status, message);
    wake();
  }

  /** Tells again what it has told when it was opened; nothing before that. */
  void tellOpened() {
    if (containers == null) return;
    JsonObject most = Capability.toJson(maximum);
    events.tell(Events.opened(name, master.application, most, queue, containers.running()));
  }

  @Override
  public void run() {
    Over over;
    try {
      master = claim();
      over = master.user.doAs((PrivilegedExceptionAction<Over>) this::serve);
    } catch (Over early) {
      over = early;
    } catch (Exception | LinkageError failure) {
      over = new Over("FAILED", failure.toString());
    }
    dispose(over);
    events.tell(Events.closed(name, master == null ? null : master.application, over));
    onClosed.accept(this);
  }

  /** A ResourceManager that is away says nothing of the application: that is no reason to give it up. */
  private Claim.Mastership claim() throws Over, YarnException, InterruptedException {
    while (true) {
      try {
        return claim.take(() -> closing != null);
      } catch (IOException away) {
        if (closing != null) throw new Over("UNKNOWN", "Closed by order while the ResourceManager is away.");
        events.say(EventSink.Level.warn, name + ": " + away);
        Thread.sleep(RETRY_MS);
      }
    }
  }

  /** @return why it has ended */
  private Over serve() throws InterruptedException {
    try {
      retry(this::open);
      while (closing == null) {
        retry(this::beat);
        pause();
      }
      Closing order = closing;
      retry(() -> link.unregister(order.status, order.message));
      return new Over("FINISHED", order.message);
    } catch (Over over) {
      return over;
    }
  }

  private void open() throws YarnException, IOException {
    if (link == null) link = new ResourceManagerLink(cluster.configuration, cluster.racks);
    RegisterApplicationMasterResponse response = link.register();
    ResourceUtils.reinitializeResources(response.getResourceTypes());
    queue = response.getQueue();
    maximum = response.getMaximumResourceCapability();
    isCpuCounted = response.getSchedulerResourceTypes().contains(SchedulerResourceTypes.CPU);
    Containers all = new Containers(name, cluster, events, link, master.ledger);
    all.authorise(response.getNMTokensFromPreviousAttempts());
    all.adopt(response.getContainersFromPreviousAttempts());
    containers = all;
    tellOpened();
    for (JsonObject event : master.ledger.takeTold()) events.tell(event);
    all.checkAdopted();
  }

  private void beat() throws YarnException, IOException {
    try {
      take(link.beat());
    } catch (ResourceManagerLink.Refused refused) {
      refuse(refused.ask.request, refused.getMessage());
    }
    containers.look();
  }

  private void take(AllocateResponse response) throws IOException {
    if (response.getAMRMToken() != null) {
      Claims.renew(master, response.getAMRMToken(), ClientRMProxy.getAMRMTokenService(cluster.configuration));
    }
    containers.authorise(response.getNMTokens());
    for (Container container : response.getContainersFromPreviousAttempts()) containers.returned(container);
    for (Container container : response.getAllocatedContainers()) containers.allocated(container);
    for (ContainerStatus status : response.getCompletedContainersStatuses()) containers.completed(status);
    if (!response.getUpdatedNodes().isEmpty()) events.tell(Events.event("nodesChanged"));
    tellHeadroom(response.getAvailableResources());
  }

  private void tellHeadroom(Resource available) {
    if (available == null) return;
    JsonObject event =
        Events.headroom(name, Capability.available(available, isCpuCounted), Capability.toJson(maximum));
    String text = event.toString();
    if (text.equals(toldHeadroom)) return;
    toldHeadroom = text;
    events.tell(event);
  }

  private void pause() throws InterruptedException {
    long interval = link.isAsking() || !containers.isEmpty() ? cluster.busyMs : cluster.idleMs;
    synchronized (wake) {
      if (!link.hasNews() && closing == null) wake.wait(interval);
    }
    Thread.sleep(CROWD_MS);
  }

  private void wake() {
    synchronized (wake) {
      wake.notifyAll();
    }
  }

  /** What may fail while the ResourceManager is away. */
  private interface Call {
    void make() throws YarnException, IOException;
  }

  /** Makes it again until it succeeds or the application is over. */
  private void retry(Call call) throws Over, InterruptedException {
    String said = null;
    while (true) {
      try {
        call.make();
        return;
      } catch (YarnException | IOException | RuntimeException failure) {
        failIfOver(failure);
        String message = name + ": " + failure;
        if (!message.equals(said)) events.say(EventSink.Level.warn, message);
        said = message;
        Thread.sleep(RETRY_MS);
      }
    }
  }

  private void failIfOver(Exception failure) throws Over, InterruptedException {
    boolean isReplaced =
        failure instanceof ApplicationAttemptNotFoundException
            || failure instanceof InvalidApplicationMasterRequestException;
    for (int i = 0; i < (isReplaced ? REPORTS : 1); i++) {
      if (i > 0) Thread.sleep(RETRY_MS / 4);
      try {
        Claims.failIfOver(Claims.report(cluster, master.application));
      } catch (YarnException | IOException | RuntimeException away) {
        return;
      }
    }
    if (isReplaced) throw new Over("TAKEN_OVER", failure.getMessage());
  }

  private void dispose(Over over) {
    if (containers != null) containers.close();
    if (link != null) link.close();
    try {
      if (master != null && !over.state.equals("TAKEN_OVER")) master.ledger.remove();
    } catch (IOException failure) {
      events.say(EventSink.Level.warn, "The state of " + name + " can't be removed: " + failure.getMessage());
    }
  }

  /** A {@code close} order. */
  private static final class Closing {
    final FinalApplicationStatus status;
    final String message;

    Closing(FinalApplicationStatus status, String message) {
      this.status = status;
      this.message = message;
    }
  }
}
