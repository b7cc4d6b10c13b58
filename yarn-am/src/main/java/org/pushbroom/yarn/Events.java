package org.pushbroom.yarn;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.Collection;
import org.apache.hadoop.yarn.api.records.ApplicationId;

/** The events of {@code src/engines/yarn/protocol.ts}, one method each. */
final class Events {
  /** Characters; diagnostics may carry the tail of a program's output. */
  private static final int MAX_DIAGNOSTICS = 64 * 1024;

  private Events() {}

  static JsonObject event(String name) {
    JsonObject event = new JsonObject();
    event.addProperty("event", name);
    return event;
  }

  static JsonObject ready(String hadoop, String user) {
    JsonObject event = event("ready");
    event.addProperty("hadoop", hadoop);
    event.addProperty("user", user);
    return event;
  }

  static JsonObject opened(String app, ApplicationId id, JsonObject maximum, String queue, Collection<Held> running) {
    JsonObject event = of("opened", app);
    event.addProperty("applicationId", id.toString());
    event.add("maximum", maximum);
    event.addProperty("queue", queue);
    JsonArray all = new JsonArray();
    for (Held held : running) all.add(held.toJson(new JsonObject()));
    event.add("running", all);
    return event;
  }

  static JsonObject allocated(String app, Held held) {
    return held.toJson(of("allocated", app));
  }

  static JsonObject started(String app, long request) {
    JsonObject event = of("started", app);
    event.addProperty("request", request);
    return event;
  }

  static JsonObject ended(String app, long request, int exitStatus, String diagnostics) {
    JsonObject event = of("ended", app);
    event.addProperty("request", request);
    event.addProperty("exitStatus", exitStatus);
    event.addProperty("diagnostics", cut(diagnostics));
    return event;
  }

  /** @param id null where YARN has not given one */
  static JsonObject closed(String app, ApplicationId id, Over over) {
    JsonObject event = of("closed", app);
    if (id != null) event.addProperty("applicationId", id.toString());
    event.addProperty("state", over.state);
    event.addProperty("diagnostics", cut(over.getMessage()));
    return event;
  }

  static JsonObject headroom(String app, JsonObject available, JsonObject maximum) {
    JsonObject event = of("headroom", app);
    event.add("available", available);
    event.add("maximum", maximum);
    return event;
  }

  private static JsonObject of(String name, String app) {
    JsonObject event = event(name);
    event.addProperty("app", app);
    return event;
  }

  private static String cut(String text) {
    if (text == null) return "";
    return text.length() <= MAX_DIAGNOSTICS ? text : text.substring(0, MAX_DIAGNOSTICS) + " [cut]";
  }
}
