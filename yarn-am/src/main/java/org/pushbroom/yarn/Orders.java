package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.api.records.LocalResource;
import org.apache.hadoop.yarn.api.records.LocalResourceType;
import org.apache.hadoop.yarn.api.records.LocalResourceVisibility;
import org.apache.hadoop.yarn.api.records.URL;

/** Reads orders and has them carried out. A bad one is told and has no other consequence. */
final class Orders {
  /** Together ten seconds: the ResourceManager may be away. */
  private static final int ABANDON_POLLS = 100;
  private static final long ABANDON_POLL_MS = 100;

  private final Cluster cluster;
  private final EventSink events;
  private final boolean isManaged;
  private final Map<String, Application> applications = new ConcurrentHashMap<>();

  /** @param isManaged whether the program is the master of one application, and of no other */
  Orders(Cluster cluster, EventSink events, boolean isManaged) {
    this.cluster = cluster;
    this.events = events;
    this.isManaged = isManaged;
  }

  /** Of one line. */
  void take(String line) {
    if (line.isBlank()) return;
    try {
      take(Fields.parse(line));
    } catch (OrderException wrong) {
      events.say(EventSink.Level.error, "An order is not understood: " + wrong.getMessage());
    } catch (RuntimeException failure) {
      events.say(EventSink.Level.error, "An order could not be carried out: " + failure);
    }
  }

  /** Makes the program the master of an application; if it is already, that is told again. */
  void open(String name, Claim claim) {
    Application fresh = new Application(name, claim, cluster, events, gone -> applications.remove(gone.name(), gone));
    Application there = applications.putIfAbsent(name, fresh);
    if (there != null) there.tellOpened();
    else new Thread(fresh, name).start();
  }

  private void take(Fields order) throws OrderException {
    String kind = order.text("order");
    switch (kind) {
      case "open":
        if (isManaged) application(order).tellOpened();
        else open(order.text("app"), Claims.submit(cluster, order));
        break;
      case "adopt":
        if (isManaged) application(order).tellOpened();
        else open(order.text("app"), Claims.adopt(cluster, applicationId(order)));
        break;
      case "run":
        run(order);
        break;
      case "stop":
        stop(order);
        break;
      case "racks":
        cluster.racks.put(order.textByName("racks"));
        break;
      case "prioritise":
        application(order).prioritise((int) order.number("priority", 0, Integer.MAX_VALUE));
        break;
      case "close":
        FinalApplicationStatus status = order.oneOf("status", FinalApplicationStatus.class);
        application(order).close(status, order.text("message"));
        break;
      case "readLog":
        readLog(order);
        break;
      default:
        throw new OrderException("order has to be one of those agreed, not \"" + kind + "\"");
    }
  }

  /** Closes all, because nobody wants them any more, and waits for that. */
  void abandon(String reason) throws InterruptedException {
    for (Application application : applications.values()) application.close(FinalApplicationStatus.KILLED, reason);
    for (int i = 0; i < ABANDON_POLLS && !applications.isEmpty(); i++) Thread.sleep(ABANDON_POLL_MS);
  }

  private Application application(Fields order) throws OrderException {
    Application application = applications.get(order.text("app"));
    if (application == null) throw new OrderException("app has to be the name of an open application");
    return application;
  }

  /** Whatever is wrong with it, an end of the request is told where it can be. */
  private void run(Fields order) throws OrderException {
    String app = order.text("app");
    long request = request(order);
    Application application = applications.get(app);
    try {
      if (application == null) throw new OrderException("The application is not open.");
      Fields start = order.object("start");
      application.ask(
          new Ask(request, order.text("node"), Capability.read(order.object("capability")), context(start)));
    } catch (OrderException wrong) {
      events.tell(Events.ended(app, request, ExitStatus.REFUSED, wrong.getMessage()));
    }
  }

  private void stop(Fields order) throws OrderException {
    Application application = applications.get(order.text("app"));
    long request = request(order);
    // Of an application that is over its containers are, too, and that has been told.
    if (application != null) application.stop(request);
  }

  private static long request(Fields order) throws OrderException {
    return order.number("request", 1, Fields.MAX_SAFE_INTEGER);
  }

  private static ApplicationId applicationId(Fields order) throws OrderException {
    try {
      return ApplicationId.fromString(order.text("applicationId"));
    } catch (IllegalArgumentException wrong) {
      throw new OrderException("applicationId has to be that of an application");
    }
  }

  private ContainerLaunchContext context(Fields start) throws OrderException {
    Map<String, LocalResource> resources = new HashMap<>();
    for (Fields resource : start.objects("resources")) resources.put(resource.text("name"), resource(resource));
    return ContainerLaunchContext.newInstance(
        resources, start.textByName("environment"), start.texts("commands"), null, null, null);
  }

  private LocalResource resource(Fields resource) throws OrderException {
    String path = resource.text("path");
    if (!path.startsWith("/")) throw new OrderException("path of a resource has to be absolute, without a scheme");
    Path qualified = new Path(path).makeQualified(FileSystem.getDefaultUri(cluster.configuration), new Path("/"));
    return LocalResource.newInstance(
        URL.fromPath(qualified),
        resource.oneOf("type", LocalResourceType.class),
        resource.oneOf("visibility", LocalResourceVisibility.class),
        resource.number("size", 0, Fields.MAX_SAFE_INTEGER),
        resource.number("modifiedAt", 0, Fields.MAX_SAFE_INTEGER));
  }

  private void readLog(Fields order) throws OrderException {
    JsonObject event = Events.event("log");
    event.addProperty("id", order.number("id", 0, Fields.MAX_SAFE_INTEGER));
    try {
      Logs.Part part = new Logs.Part(order);
      cluster.workers.execute(
          () -> {
            cluster.logs.read(part, owner(part.application()), event);
            events.tell(event);
          });
    } catch (OrderException wrong) {
      event.addProperty("error", wrong.getMessage());
      events.tell(event);
    }
  }

  /** @return null if the application lives: its logs are on its nodes then, and nowhere else */
  private String owner(ApplicationId id) {
    if (applications.values().stream().anyMatch(application -> application.is(id))) return null;
    try {
      return cluster.asOurselves(yarn -> yarn.getApplicationReport(id)).getUser();
    } catch (Exception forgotten) {
      return cluster.user;
    }
  }
}
