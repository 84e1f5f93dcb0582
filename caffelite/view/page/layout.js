// A worker: where the boxes go and how the edges run. It answers with dagre's coordinates, so that
// the page stays quick to the touch meanwhile.
import dagre from "./vendor/dagre.js";

const MANY = 120; // boxes, from which on the best ranking takes too long

onmessage = ({ data: { id, nodes, edges, direction } }) => {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({
    rankdir: direction,
    nodesep: 26,
    edgesep: 14,
    ranksep: 34,
    ranker: nodes.length > MANY ? "longest-path" : "network-simplex",
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: node.width, height: node.height });
  edges.forEach((edge, index) => graph.setEdge(edge.from, edge.to, {}, String(index)));
  dagre.layout(graph);
  const { width, height } = graph.graph();
  postMessage({
    id,
    width: Math.max(width, 1),
    height: Math.max(height, 1),
    places: Object.fromEntries(nodes.map(({ id }) => [id, graph.node(id)])),
    paths: edges.map((edge, index) => graph.edge(edge.from, edge.to, String(index)).points),
  });
};
