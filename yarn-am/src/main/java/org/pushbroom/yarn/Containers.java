package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.hadoop.yarn.api.records.Container;
import org.apache.hadoop.yarn.api.records.ContainerExitStatus;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.api.records.ContainerStatus;
import org.apache.hadoop.yarn.api.records.NMToken;
import org.apache.hadoop.yarn.exceptions.YarnException;

/** The containers of one application, each from its allocation until its end is told. */
final class Containers {
  /** For the ResourceManager to tell the end of a container that it does not list any more, or NodeManagers again. */
  private static final long FIRST_LOOK_SECONDS = 3;
  /** Then nobody finds a node that has not answered so far. */
  private static final long LAST_LOOK_SECONDS = 60;
  /** For the ResourceManager to confirm that it has taken a container back. */
  private static final long RELEASE_SECONDS = 30;

  private final String app;
  private final Cluster cluster;
  private final EventSink events;
  private final ResourceManagerLink link;
  private final NodeManagers nodes;
  private final Ledger ledger;
  private final Map<ContainerId, Held> held = new LinkedHashMap<>();
  private final Map<Long, Held> byRequest = new LinkedHashMap<>();
  private boolean isClosed;

  Containers(String app, Cluster cluster, EventSink events, ResourceManagerLink link, Ledger ledger) {
    this.app = app;
    this.cluster = cluster;
    this.events = events;
    this.link = link;
    this.nodes = new NodeManagers(cluster.configuration);
    this.ledger = ledger;
  }

  void authorise(List<NMToken> tokens) {
    nodes.authorise(tokens);
  }

  synchronized boolean isEmpty() {
    return held.isEmpty();
  }

  /** What runs, so far as is known. */
  synchronized Collection<Held> running() {
    return held.values().stream().filter(one -> !one.isEnding && one.expectation == null).collect(Collectors.toList());
  }

  /**
   * Takes over what an earlier program has left.
   *
   * @param live what the ResourceManager lists
   */
  synchronized void adopt(List<Container> live) throws IOException {
    Set<ContainerId> listed = new HashSet<>();
    for (Container container : live) {
      listed.add(container.getId());
      hold(Held.of(container));
    }
    for (Held left : ledger.held()) {
      if (listed.contains(left.id)) continue;
      // Its end is told with the next heartbeats, unless it was told to the program that has died.
      left.expectation = new Held.Expectation(FIRST_LOOK_SECONDS);
      hold(left);
    }
    held.values().forEach(one -> one.isStarted = true);
  }

  /** Finds those that were allocated but never started by the program that has died. */
  synchronized void checkAdopted() {
    for (Held one : running()) cluster.workers.execute(() -> checkStarted(one));
  }

  /** Starts what was asked for, and gives back what was not, or not by this program. */
  synchronized void allocated(Container container) {
    Ask ask = link.answered(container.getAllocationRequestId());
    if (ask == null) {
      Held adopted = held.get(container.getId());
      if (adopted == null) link.release(container.getId());
      else giveBack(adopted, ExitStatus.NOT_STARTED, "Allocated to a program that died before it could start it.");
      return;
    }
    Held one = Held.of(container);
    one.allocatedAt = System.nanoTime();
    hold(one);
    events.tell(Events.allocated(app, one));
    cluster.workers.execute(() -> start(container, one, ask));
  }

  /** A container runs that the ResourceManager has not listed before: its node has come back. */
  synchronized void returned(Container container) {
    Held known = held.get(container.getId());
    if (known != null) {
      known.expectation = null;
      return;
    }
    Held one = Held.of(container);
    one.isStarted = true;
    hold(one);
    events.tell(Events.allocated(app, one));
    events.tell(Events.started(app, one.request));
  }

  /** The ResourceManager tells an end. */
  synchronized void completed(ContainerStatus status) {
    Held one = held.get(status.getContainerId());
    if (one == null) return;
    boolean isReleased = one.release != null && status.getExitStatus() == ContainerExitStatus.ABORTED;
    if (isReleased) end(one, one.release.exitStatus, one.release.diagnostics);
    else end(one, status.getExitStatus(), status.getDiagnostics());
  }

  /** @return whether there is such a container */
  synchronized boolean stop(long request) {
    Held one = byRequest.get(request);
    if (one == null) return false;
    if (!one.isStarted) giveBack(one, ContainerExitStatus.KILLED_BY_APPMASTER, "Stopped by order before it was started.");
    else if (!one.isEnding) cluster.workers.execute(() -> stopOnNode(one));
    return true;
  }

  /** Looks after those of which something is expected and not heard. Called with each heartbeat. */
  synchronized void look() {
    for (Held one : new ArrayList<>(held.values())) {
      if (one.isEnding || one.expectation == null || !one.expectation.isDisappointed()) continue;
      if (one.release != null) {
        end(one, one.release.exitStatus, one.release.diagnostics);
        continue;
      }
      long next = Math.min(LAST_LOOK_SECONDS, 2 * one.expectation.seconds);
      one.expectation = new Held.Expectation(next);
      cluster.workers.execute(() -> checkRunning(one, next == LAST_LOOK_SECONDS));
    }
  }

  /** Of what ends from now on nothing is told: the application is over, and says so. */
  synchronized void close() {
    isClosed = true;
    nodes.stop();
  }

  private void hold(Held one) {
    held.put(one.id, one);
    byRequest.put(one.request, one);
    try {
      ledger.hold(one);
    } catch (IOException failure) {
      events.say(EventSink.Level.warn, "The state of " + app + " can't be written: " + failure.getMessage());
    }
  }

  private void start(Container container, Held one, Ask ask) {
    try {
      nodes.startContainer(container, ask.start);
    } catch (YarnException | IOException | RuntimeException failure) {
      synchronized (this) {
        link.release(one.id);
        end(one, ExitStatus.NOT_STARTED, one.node + " has not started it: " + failure.getMessage());
      }
      return;
    }
    synchronized (this) {
      if (one.isEnding) return;
      one.isStarted = true;
      events.tell(Events.started(app, one.request));
    }
  }

  private void stopOnNode(Held one) {
    try {
      nodes.stopContainer(one.id, one.node);
    } catch (YarnException | IOException | RuntimeException failure) {
      synchronized (this) {
        giveBack(one, ContainerExitStatus.KILLED_BY_APPMASTER, "Stopped by order; its node said: " + failure.getMessage());
      }
    }
  }

  /** Lets the ResourceManager end it, by way of its node's next heartbeat. */
  private void giveBack(Held one, int exitStatus, String diagnostics) {
    if (one.isEnding || one.release != null) return;
    one.release = new Held.Release(exitStatus, diagnostics);
    one.expectation = new Held.Expectation(RELEASE_SECONDS);
    link.release(one.id);
  }

  private void checkStarted(Held one) {
    try {
      cluster.web.state(one);
    } catch (FileNotFoundException unknown) {
      synchronized (this) {
        giveBack(one, ExitStatus.NOT_STARTED, "Its node does not know it: the program died before it could start it.");
      }
    } catch (IOException | RuntimeException unreachable) {
      // The ResourceManager will find out.
    }
  }

  private void checkRunning(Held one, boolean isLast) {
    try {
      NodeWeb.State state = cluster.web.state(one);
      if (state.isOver) endNow(one, state.exitStatus, state.diagnostics);
    } catch (FileNotFoundException unknown) {
      endNow(one, ExitStatus.UNKNOWN, "It ended while nobody listened; its node does not know it any more.");
    } catch (IOException | RuntimeException unreachable) {
      String reason = "The ResourceManager does not know it any more, and its node can't be asked: ";
      if (isLast) endNow(one, ExitStatus.UNKNOWN, reason + unreachable.getMessage());
    }
  }

  private synchronized void endNow(Held one, int exitStatus, String diagnostics) {
    end(one, exitStatus, diagnostics);
  }

  /** Fetches what the runner has left on the node, and then tells the end. */
  private void end(Held one, int exitStatus, String diagnostics) {
    if (one.isEnding) return;
    one.isEnding = true;
    JsonObject event = Events.ended(app, one.request, exitStatus, diagnostics);
    event.addProperty("container", one.id.toString());
    if (one.allocatedAt != 0) {
      event.addProperty("heldMs", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - one.allocatedAt));
    }
    // A program ran, or there is nothing; of a lost node nothing comes.
    boolean hasRun = one.isStarted && exitStatus != ContainerExitStatus.ABORTED;
    cluster.workers.execute(
        () -> {
          String end = hasRun ? cluster.logs.readEnd(one) : null;
          if (end != null) event.addProperty("end", end);
          forget(one, event);
        });
  }

  private synchronized void forget(Held one, JsonObject event) {
    if (isClosed) return;
    held.remove(one.id);
    byRequest.remove(one.request, one);
    nodes.forget(one);
    try {
      ledger.end(one, event);
    } catch (IOException failure) {
      events.say(EventSink.Level.warn, "The state of " + app + " can't be written: " + failure.getMessage());
    }
    events.tell(event);
  }
}
