package org.pushbroom.yarn;

import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CommonConfigurationKeys;
import org.apache.hadoop.yarn.api.records.NMToken;
import org.apache.hadoop.yarn.client.api.NMTokenCache;
import org.apache.hadoop.yarn.client.api.impl.NMClientImpl;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/** Starts and stops the containers of one application. Its calls wait for the NodeManager, for {@link #PATIENCE_MS}. */
final class NodeManagers extends NMClientImpl {
  private static final int PATIENCE_MS = 15_000;

  /** Starts at once. */
  NodeManagers(Configuration configuration) {
    // The cache that is used without this is one for all applications, which hold different tokens for the same node.
    setNMTokenCache(new NMTokenCache());
    cleanupRunningContainersOnStop(false);
    init(impatient(configuration));
    start();
  }

  void authorise(List<NMToken> tokens) {
    for (NMToken token : tokens) getNMTokenCache().setToken(token.getNodeId().toString(), token.getToken());
  }

  /** Of a container that has ended by itself; Hadoop's client remembers it until it is stopped. */
  void forget(Held held) {
    startedContainers.remove(held.id);
  }

  /** Hadoop's own patience of minutes suits clients that have no other node to go to. */
  private static Configuration impatient(Configuration configuration) {
    Configuration own = new Configuration(configuration);
    own.setInt(YarnConfiguration.CLIENT_NM_CONNECT_MAX_WAIT_MS, PATIENCE_MS);
    own.setInt(YarnConfiguration.CLIENT_NM_CONNECT_RETRY_INTERVAL_MS, 1000);
    own.setInt(CommonConfigurationKeys.IPC_CLIENT_CONNECT_TIMEOUT_KEY, PATIENCE_MS / 3);
    own.setInt(CommonConfigurationKeys.IPC_CLIENT_RPC_TIMEOUT_KEY, 2 * PATIENCE_MS);
    return own;
  }
}
