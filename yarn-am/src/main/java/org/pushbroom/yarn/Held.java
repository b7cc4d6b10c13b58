package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.yarn.api.records.Container;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.api.records.NodeId;

/** A container that the application holds, with what has been done about it. Guarded by its application's lock. */
final class Held {
  final ContainerId id;
  final long request;
  final NodeId node;
  final String nodeHttp;
  private final JsonObject capability;

  /** Nanoseconds of {@link System#nanoTime}; 0 where this program has not seen it. */
  long allocatedAt;

  boolean isStarted;
  boolean isEnding;

  /** Why it was given back to the ResourceManager, whose own word for that is the same as for a lost node. */
  Release release;

  /** What has been expected of it since when, and for how long that is waited for; null if nothing is. */
  Expectation expectation;

  /** What is told in the place of {@code ABORTED}. */
  static final class Release {
    final int exitStatus;
    final String diagnostics;

    Release(int exitStatus, String diagnostics) {
      this.exitStatus = exitStatus;
      this.diagnostics = diagnostics;
    }
  }

  /** That something is heard of it. */
  static final class Expectation {
    final long seconds;
    private final long since = System.nanoTime();

    Expectation(long seconds) {
      this.seconds = seconds;
    }

    boolean isDisappointed() {
      return System.nanoTime() - since > TimeUnit.SECONDS.toNanos(seconds);
    }
  }

  private Held(ContainerId id, long request, NodeId node, String nodeHttp, JsonObject capability) {
    this.id = id;
    this.request = request;
    this.node = node;
    this.nodeHttp = nodeHttp;
    this.capability = capability;
  }

  static Held of(Container container) {
    return new Held(
        container.getId(),
        container.getAllocationRequestId(),
        container.getNodeId(),
        container.getNodeHttpAddress(),
        Capability.toJson(container.getResource()));
  }

  /** Reads what {@link #toJson} has written. */
  static Held of(Fields fields) throws OrderException {
    try {
      return new Held(
          ContainerId.fromString(fields.text("container")),
          fields.number("request", 1, Fields.MAX_SAFE_INTEGER),
          NodeId.fromString(fields.text("node")),
          fields.text("nodeHttp"),
          Capability.toJson(Capability.read(fields.object("capability"))));
    } catch (IllegalArgumentException wrong) {
      throw new OrderException(wrong.getMessage());
    }
  }

  /** Adds the fields of {@code Running}. */
  JsonObject toJson(JsonObject json) {
    json.addProperty("request", request);
    json.addProperty("container", id.toString());
    json.addProperty("node", node.toString());
    json.addProperty("nodeHttp", nodeHttp);
    json.add("capability", capability);
    return json;
  }
}
