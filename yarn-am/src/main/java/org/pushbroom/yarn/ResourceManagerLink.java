package org.pushbroom.yarn;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.ipc.RPC;
import org.apache.hadoop.yarn.api.ApplicationMasterProtocol;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateRequest;
import org.apache.hadoop.yarn.api.protocolrecords.AllocateResponse;
import org.apache.hadoop.yarn.api.protocolrecords.FinishApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterRequest;
import org.apache.hadoop.yarn.api.protocolrecords.RegisterApplicationMasterResponse;
import org.apache.hadoop.yarn.api.records.ContainerId;
import org.apache.hadoop.yarn.api.records.ContainerStatus;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.api.records.ResourceRequest;
import org.apache.hadoop.yarn.client.ClientRMProxy;
import org.apache.hadoop.yarn.exceptions.ApplicationMasterNotRegisteredException;
import org.apache.hadoop.yarn.exceptions.InvalidResourceRequestException;
import org.apache.hadoop.yarn.exceptions.YarnException;

/**
 * What one application has asked of the ResourceManager, sent with the heartbeats. Hadoop's own AMRMClient is not used:
 * it stops for good at the first request that the ResourceManager refuses, finds racks by itself, and keeps a table
 * for each request for ever.
 */
final class ResourceManagerLink implements AutoCloseable {
  private final ApplicationMasterProtocol protocol;
  private final Racks racks;

  /** What the ResourceManager knows, or is about to. */
  private final Map<Long, Ask> asked = new TreeMap<>();

  /** What has changed since the last heartbeat: of each request, whether it is wanted. */
  private final Map<Ask, Boolean> changes = new LinkedHashMap<>();

  /** Until the ResourceManager says that they are completed. */
  private final Set<ContainerId> releases = new LinkedHashSet<>();

  private final Set<ContainerId> unsentReleases = new LinkedHashSet<>();

  /** Of the next changes, how many are sent each in a heartbeat of its own. */
  private int oneByOne;

  /** Has been sent; whether it has arrived is not known. Of the thread that beats. */
  private Batch unanswered;

  private int responseId;

  /** Has to be called as the user whose credentials hold the application's token. */
  ResourceManagerLink(Configuration configuration, Racks racks) throws IOException {
    this.protocol = ClientRMProxy.createRMProxy(configuration, ApplicationMasterProtocol.class);
    this.racks = racks;
  }

  /** An unmanaged application may be registered again, by whoever has its token. */
  RegisterApplicationMasterResponse register() throws YarnException, IOException {
    RegisterApplicationMasterResponse response =
        protocol.registerApplicationMaster(RegisterApplicationMasterRequest.newInstance("", -1, ""));
    synchronized (this) {
      responseId = 0;
      unanswered = null;
      changes.clear();
      for (Ask ask : asked.values()) changes.put(ask, true);
      unsentReleases.addAll(releases);
    }
    return response;
  }

  synchronized void ask(Ask ask) {
    asked.put(ask.request, ask);
    changes.put(ask, true);
  }

  /** @return what was asked for; null if the ResourceManager was not asked, or has answered */
  synchronized Ask withdraw(long request) {
    Ask ask = asked.remove(request);
    if (ask != null) changes.put(ask, false);
    return ask;
  }

  /** @return what this container was asked for with; null if nobody asks for it any more */
  synchronized Ask answered(long request) {
    return asked.remove(request);
  }

  synchronized void release(ContainerId container) {
    releases.add(container);
    unsentReleases.add(container);
  }

  synchronized boolean isAsking() {
    return !asked.isEmpty();
  }

  synchronized boolean hasNews() {
    return !changes.isEmpty() || !unsentReleases.isEmpty();
  }

  /** One request was refused; it is not asked for again. With the heartbeat itself all is well. */
  static final class Refused extends Exception {
    private static final long serialVersionUID = 1L;
    final transient Ask ask;

    Refused(Ask ask, String reason) {
      super(reason);
      this.ask = ask;
    }
  }

  /** One heartbeat. After a restart of the ResourceManager it registers and asks again for all that is outstanding. */
  AllocateResponse beat() throws YarnException, IOException, Refused {
    while (true) {
      // What was sent and perhaps lost is sent again as it was: if it has arrived, the ResourceManager gives the same
      // answer and reads nothing else (ApplicationMasterService, by the response's number).
      if (unanswered == null) unanswered = takeBatch();
      Batch batch = unanswered;
      try {
        AllocateResponse response = protocol.allocate(toRequest(batch));
        noteAnswer(response);
        return response;
      } catch (ApplicationMasterNotRegisteredException restarted) {
        register();
      } catch (InvalidResourceRequestException tooLarge) {
        if (batch.asks.isEmpty()) throw tooLarge;
        Ask refused = batch.asks.size() == 1 ? batch.asks.keySet().iterator().next() : null;
        if (putBack(batch, refused)) throw new Refused(refused, tooLarge.getMessage());
      }
    }
  }

  /** Ends the application; its containers too. */
  void unregister(FinalApplicationStatus status, String message) throws YarnException, IOException {
    FinishApplicationMasterRequest request = FinishApplicationMasterRequest.newInstance(status, message, "");
    try {
      while (!protocol.finishApplicationMaster(request).getIsUnregistered()) Thread.sleep(100);
    } catch (ApplicationMasterNotRegisteredException restarted) {
      register();
      unregister(status, message);
    } catch (InterruptedException ending) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    RPC.stopProxy(protocol);
  }

  /** What one heartbeat carries. */
  private static final class Batch {
    final Map<Ask, Boolean> asks = new LinkedHashMap<>();
    final List<ContainerId> releases = new ArrayList<>();
  }

  private AllocateRequest toRequest(Batch batch) {
    List<ResourceRequest> asks = new ArrayList<>();
    batch.asks.forEach((ask, isWanted) -> asks.addAll(ask.toResourceRequests(racks.of(ask.node), isWanted ? 1 : 0)));
    return AllocateRequest.newBuilder()
        .responseId(responseId)
        .askList(asks)
        .releaseList(batch.releases)
        .build();
  }

  private synchronized Batch takeBatch() {
    Batch batch = new Batch();
    batch.releases.addAll(unsentReleases);
    unsentReleases.clear();
    for (Ask ask : List.copyOf(changes.keySet())) {
      batch.asks.put(ask, changes.remove(ask));
      if (oneByOne == 0) continue;
      oneByOne--;
      break;
    }
    return batch;
  }

  private synchronized void noteAnswer(AllocateResponse response) {
    unanswered = null;
    responseId = response.getResponseId();
    for (ContainerStatus status : response.getCompletedContainersStatuses()) {
      releases.remove(status.getContainerId());
    }
  }

  /**
   * The ResourceManager takes all of a batch or nothing, and does not say which request it means: that is found by
   * asking for each alone.
   *
   * @param refused if there is but one
   * @return whether that one is still wanted
   */
  private synchronized boolean putBack(Batch batch, Ask refused) {
    unanswered = null;
    unsentReleases.addAll(batch.releases);
    if (refused != null) {
      changes.remove(refused);
      return asked.remove(refused.request) != null;
    }
    Map<Ask, Boolean> later = new LinkedHashMap<>(changes);
    changes.clear();
    changes.putAll(batch.asks);
    // Of the same request the later change counts.
    changes.putAll(later);
    oneByOne = batch.asks.size();
    return false;
  }
}
