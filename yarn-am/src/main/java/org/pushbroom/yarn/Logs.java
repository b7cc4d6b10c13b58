package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.logaggregation.ContainerLogsRequest;
import org.apache.hadoop.yarn.logaggregation.filecontroller.LogAggregationFileControllerFactory;

/** Reads files of containers' log directories: from the node while it has them, then from the aggregated logs. */
final class Logs {
  /** Of the runner, with all that it has measured. Bytes. */
  private static final int MAX_END = 8 << 20;
  private static final String END = "attempt.end.json";
  private static final int MAX_PART = 4 << 20;
  /** Up to here the beginning of a file is read in any case, which needs no look at its length before. Bytes. */
  private static final long SMALL = 256 * 1024;
  /** A log that is written to grows between two looks. Bytes. */
  private static final long GROWTH = 64 * 1024;

  private final Configuration configuration;
  private final NodeWeb web;

  Logs(Configuration configuration, NodeWeb web) {
    this.configuration = configuration;
    this.web = web;
  }

  /** What the runner has left at its end; null if there is nothing, too much, or no way to it. */
  String readEnd(Held held) {
    try {
      LogSlice slice = new LogSlice(MAX_END, 0, MAX_END);
      web.readLog(held.nodeHttp, held.id.toString(), END, MAX_END, slice);
      return slice.length() > MAX_END ? null : new String(slice.bytes(), StandardCharsets.UTF_8);
    } catch (IOException | RuntimeException unreachable) {
      return null;
    }
  }

  /** What a {@code readLog} order asks for. */
  static final class Part {
    private final ApplicationId application;
    private final String container;
    private final String node;
    private final String nodeHttp;
    private final String file;
    private final long offset;
    private final int limit;

    Part(Fields order) throws OrderException {
      try {
        application = ApplicationId.fromString(order.text("applicationId"));
      } catch (IllegalArgumentException wrong) {
        throw new OrderException("applicationId has to be that of an application");
      }
      container = order.text("container");
      node = order.text("node");
      nodeHttp = order.text("nodeHttp");
      file = order.text("file");
      offset = order.number("offset", 0, Fields.MAX_SAFE_INTEGER);
      limit = (int) Math.min(MAX_PART, order.number("limit", 1, Fields.MAX_SAFE_INTEGER));
    }

    ApplicationId application() {
      return application;
    }
  }

  /**
   * Adds the fields of the event {@code log}.
   *
   * @param owner of the application; null while it lives, when there are no aggregated logs to look for
   */
  void read(Part part, String owner, JsonObject event) {
    try {
      byte[] bytes = owner == null ? fromNode(part) : fromEither(part, owner);
      CharBuffer text = CharBuffer.allocate(bytes.length);
      ByteBuffer rest = ByteBuffer.wrap(bytes);
      // Without the end of input being said, the beginning of a character at the end is left where it is.
      decoder().decode(rest, text, false);
      if (rest.position() == 0 && bytes.length == part.limit) decoder().decode(rest, text, true);
      event.addProperty("text", text.flip().toString());
      event.addProperty("next", part.offset + rest.position());
    } catch (FileNotFoundException missing) {
      event.addProperty("error", "not found: " + part.file + " of " + part.container + " is " + missing.getMessage());
    } catch (IOException | RuntimeException failure) {
      event.addProperty("error", part.file + " of " + part.container + " can't be read: " + failure.getMessage());
    }
  }

  private static CharsetDecoder decoder() {
    return StandardCharsets.UTF_8
        .newDecoder()
        .onMalformedInput(CodingErrorAction.REPLACE)
        .onUnmappableCharacter(CodingErrorAction.REPLACE);
  }

  private byte[] fromEither(Part part, String owner) throws IOException {
    try {
      return fromNode(part);
    } catch (IOException gone) {
      return fromAggregated(part, owner);
    }
  }

  private byte[] fromNode(Part part) throws IOException {
    long wantedEnd = part.offset + part.limit;
    if (wantedEnd <= SMALL) return fromNode(part, wantedEnd).bytes();
    while (true) {
      long length = fromNode(part, 0).length();
      long fromEnd = length - part.offset + GROWTH;
      LogSlice slice = fromNode(part, wantedEnd < fromEnd || fromEnd >= length ? wantedEnd : -fromEnd);
      if (!slice.isLate()) return slice.bytes();
    }
  }

  private LogSlice fromNode(Part part, long size) throws IOException {
    LogSlice slice = new LogSlice(size, part.offset, part.limit);
    web.readLog(part.nodeHttp, part.container, part.file, size, slice);
    slice.length();
    return slice;
  }

  private byte[] fromAggregated(Part part, String owner) throws IOException {
    long size = part.offset + part.limit;
    ContainerLogsRequest request = new ContainerLogsRequest();
    request.setAppId(part.application);
    request.setAppOwner(owner);
    request.setAppFinished(true);
    request.setContainerId(part.container);
    request.setNodeId(part.node);
    request.setLogTypes(Set.of(part.file));
    request.setBytes(size);
    LogSlice slice = new LogSlice(size, part.offset, part.limit);
    boolean isFound;
    try {
      isFound =
          new LogAggregationFileControllerFactory(configuration)
              .getFileControllerForRead(part.application, owner)
              .readAggregatedLogs(request, slice);
    } catch (IOException none) {
      throw new FileNotFoundException("neither on its node nor among the aggregated logs: " + none.getMessage());
    }
    if (!isFound) throw new FileNotFoundException("neither on its node nor among the aggregated logs");
    return slice.bytes();
  }
}
