package org.pushbroom.yarn;

import com.google.gson.JsonObject;

/** Where events go: to the service, in the order in which they are told. Never waits: a heartbeat may depend on it. */
interface EventSink {
  void tell(JsonObject event);

  /** Something that an operator should know. */
  default void say(Level level, String message) {
    JsonObject event = Events.event("say");
    event.addProperty("level", level.name());
    event.addProperty("message", message);
    tell(event);
  }

  /** As the service spells them. */
  enum Level {
    debug,
    info,
    warn,
    error
  }
}
